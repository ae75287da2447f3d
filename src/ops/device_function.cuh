#pragma once

// Element-wise functions and their slopes.

#include <type_traits>

#include "device_row.cuh"

namespace txtsum::ops::cuda {

constexpr float kRootHalf = 0.70710678118654752f;
constexpr float kInverseRootTwoPi = 0.39894228040143268f;
constexpr float kTanhFactor = 0.79788456080286536f;  // sqrt(2 / pi)
constexpr float kTanhCubic = 0.044715f;

/// The standard normal distribution's cumulative function at x and exp(-x^2 / 2).
struct Normal {
  float cumulative, exponential;
};

/// Exact for fp32. For narrower types Abramowitz and Stegun 7.1.26 (absolute error below 1.5e-7), which shares the
/// exponential.
template <typename T>
__device__ __forceinline__ Normal normal_at(float x) {
  if constexpr (sizeof(T) == sizeof(float)) return {0.5f * (1.0f + erff(x * kRootHalf)), expf(-0.5f * x * x)};
  const float exponential = __expf(-0.5f * x * x);
  const float t = __fdividef(1.0f, 1.0f + 0.3275911f * kRootHalf * fabsf(x));
  const float series =
      t * (0.254829592f + t * (-0.284496736f + t * (1.421413741f + t * (-1.453152027f + t * 1.061405429f))));
  const float upper = 0.5f * series * exponential;
  return {x < 0.0f ? upper : 1.0f - upper, exponential};
}

template <typename T, Function kFunction>
__device__ __forceinline__ float value_of(float x) {
  if constexpr (kFunction == Function::kGelu) return x * normal_at<T>(x).cumulative;
  if constexpr (kFunction == Function::kGeluTanh) {
    return 0.5f * x * (1.0f + tanhf(kTanhFactor * (x + kTanhCubic * x * x * x)));
  }
  if constexpr (kFunction == Function::kRelu) return x < 0.0f ? 0.0f : x;  // NaN stays
  if constexpr (kFunction == Function::kSilu) return x / (1.0f + expf(-x));
  return tanhf(x);
}

template <typename T, Function kFunction>
__device__ __forceinline__ float slope_of(float x) {
  if constexpr (kFunction == Function::kGelu) {
    const Normal normal = normal_at<T>(x);
    return normal.cumulative + x * kInverseRootTwoPi * normal.exponential;
  }
  if constexpr (kFunction == Function::kGeluTanh) {
    const float t = tanhf(kTanhFactor * (x + kTanhCubic * x * x * x));
    return 0.5f * (1.0f + t) + 0.5f * x * (1.0f - t * t) * kTanhFactor * (1.0f + 3.0f * kTanhCubic * x * x);
  }
  if constexpr (kFunction == Function::kRelu) return x > 0.0f ? 1.0f : 0.0f;
  if constexpr (kFunction == Function::kSilu) {
    const float s = 1.0f / (1.0f + expf(-x));
    return s * (1.0f + x * (1.0f - s));
  }
  const float t = tanhf(x);
  return 1.0f - t * t;
}

/// Calls `run` with the function as a type.
template <typename Run>
void with_function(Function function, const Run& run) {
  switch (function) {
    case Function::kGelu:
      return run(std::integral_constant<Function, Function::kGelu>());
    case Function::kGeluTanh:
      return run(std::integral_constant<Function, Function::kGeluTanh>());
    case Function::kRelu:
      return run(std::integral_constant<Function, Function::kRelu>());
    case Function::kSilu:
      return run(std::integral_constant<Function, Function::kSilu>());
    case Function::kTanh:
      return run(std::integral_constant<Function, Function::kTanh>());
  }
}

}  // namespace txtsum::ops::cuda
