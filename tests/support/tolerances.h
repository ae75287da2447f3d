#pragma once

namespace txtsum::tests {

// Largest |ours - reference| / max |reference| allowed, with the largest error that was measured beside it (on a CPU
// with AVX-512; fp32 unless the name says otherwise). References are in float64, but for the scores of sequences.

inline constexpr double kEncodedTolerance = 2e-6;        // 4.6e-7
inline constexpr double kLogitsTolerance = 3e-6;         // 7.8e-7
inline constexpr double kLossTolerance = 1e-6;           // 4.9e-8
inline constexpr double kGradientTolerance = 2e-5;       // 6.0e-6
inline constexpr double kTenLossesTolerance = 2e-6;      // 2.3e-7
inline constexpr double kSequenceScoreTolerance = 1e-4;  // 2.0e-5; transformers' own are in fp32
inline constexpr double kDeviceLossTolerance = 2e-5;     // on a GPU, fp32, losses of six updates
inline constexpr double kOpTolerance = 5e-6;             // 9.1e-7
inline constexpr double kOpToleranceBf16 = 3e-2;         // 1.5e-2
inline constexpr double kOpToleranceFp16 = 4e-3;         // on a GPU

}  // namespace txtsum::tests
