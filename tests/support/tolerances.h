#pragma once

namespace txtsum::tests {

// Largest |ours - reference| / max |reference| allowed, with the error that was measured beside it (fp32 on one CPU).

inline constexpr double kEncodedTolerance = 2e-6;        // 3e-7
inline constexpr double kLogitsTolerance = 3e-6;         // 5e-7
inline constexpr double kLossTolerance = 1e-6;           // 1e-7
inline constexpr double kGradientTolerance = 1e-5;       // 2e-6
inline constexpr double kTenLossesTolerance = 2e-5;      // 2e-6
inline constexpr double kSequenceScoreTolerance = 1e-4;  // 2e-5; both sides in fp32
inline constexpr double kOpTolerance = 5e-6;
inline constexpr double kOpToleranceBf16 = 2e-2;

}  // namespace txtsum::tests
