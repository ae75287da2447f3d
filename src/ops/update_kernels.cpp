#include "update_kernels.h"

#include <cmath>
#include <cstring>

// Compiled with -fno-math-errno and -fno-trapping-math: else each square root asks whether errno is to be set, and
// neither a loop with one nor one that chooses between results becomes vectors. As attributes GCC does not heed them.
// And with -ffp-contract=off: an element's bits must not depend on whether it is one of a vector's or of the rest, for
// which GCC fuses other products.

// GCC's resolver functions run before the address sanitizer has started.
#if defined(__SANITIZE_ADDRESS__)
#define TXTSUM_CLONES
#else
#define TXTSUM_CLONES __attribute__((target_clones("default", "avx2", "avx512f"), optimize("O3")))
#endif

namespace txtsum::ops {

TXTSUM_CLONES void adamw_stretch(float* __restrict masters, const float* __restrict gradients, float* __restrict first,
                                 float* __restrict second, int64_t count, const AdamWFactors& factors) {
  const AdamWFactors f = factors;
  for (int64_t i = 0; i < count; ++i) {
    const float gradient = gradients[i] * f.gradient_factor;
    const float m = first[i] + f.one_minus_beta1 * (gradient - first[i]);
    const float v = f.beta2 * second[i] + f.one_minus_beta2 * (gradient * gradient);
    first[i] = m;
    second[i] = v;
    masters[i] = masters[i] * f.decay_factor - f.step_size * (m / (std::sqrt(v) * f.inverse_root + f.epsilon));
  }
}

TXTSUM_CLONES void widen_stretch(const uint16_t* __restrict bits, float* __restrict floats, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    const uint32_t word = static_cast<uint32_t>(bits[i]) << 16;
    std::memcpy(&floats[i], &word, sizeof(word));
  }
}

TXTSUM_CLONES void round_stretch(const float* __restrict floats, uint16_t* __restrict bits, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    uint32_t word;
    std::memcpy(&word, &floats[i], sizeof(word));
    const uint32_t rounded = (word + 0x7FFFu + ((word >> 16) & 1u)) >> 16;
    bits[i] = static_cast<uint16_t>((word & 0x7FFFFFFFu) > 0x7F800000u ? 0x7FC0u : rounded);
  }
}

// An fp16's exponent and mantissa, taken as those of an fp32, are its value times 2^-112: a product puts that right, of
// subnormal numbers too.

TXTSUM_CLONES void widen_half_stretch(const uint16_t* __restrict bits, float* __restrict floats, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    const uint32_t half = bits[i];
    const uint32_t scaled = (half & 0x7FFFu) << 13;
    float value;
    std::memcpy(&value, &scaled, sizeof(value));
    value *= 0x1p112f;
    uint32_t word;
    std::memcpy(&word, &value, sizeof(word));
    if (scaled >= 0x7C00u << 13) word = scaled | 0x7F800000u;  // infinity and NaN
    word |= (half & 0x8000u) << 16;
    std::memcpy(&floats[i], &word, sizeof(word));
  }
}

TXTSUM_CLONES void round_half_stretch(const float* __restrict floats, uint16_t* __restrict bits, int64_t count) {
  constexpr uint32_t kInfinity = 0x7F800000u;
  constexpr uint32_t kLeastNormal = 113u << 23;  // 2^-14
  constexpr uint32_t kOverflow = 0x477FF000u;    // 65520, which is as near to 65536 as to 65504
  constexpr float kSubnormalUnit = 0x1p-1f;      // whose last place is fp16's smallest number, 2^-24
  for (int64_t i = 0; i < count; ++i) {
    uint32_t word;
    std::memcpy(&word, &floats[i], sizeof(word));
    const uint32_t magnitude = word & 0x7FFFFFFFu;
    const uint32_t normal = (magnitude - (112u << 23) + 0xFFFu + ((magnitude >> 13) & 1u)) >> 13;
    float small;
    std::memcpy(&small, &magnitude, sizeof(small));
    small += kSubnormalUnit;
    uint32_t subnormal;
    std::memcpy(&subnormal, &small, sizeof(subnormal));
    subnormal -= 126u << 23;
    uint32_t half = magnitude < kLeastNormal ? subnormal : normal;
    half = magnitude >= kOverflow ? 0x7C00u : half;
    half = magnitude > kInfinity ? 0x7E00u : half;
    bits[i] = static_cast<uint16_t>(half | ((word >> 16) & 0x8000u));
  }
}

TXTSUM_CLONES double square_sum_stretch(const float* values, int64_t count) {
  constexpr int kSums = 8;
  double sums[kSums] = {};
  int64_t i = 0;
  for (; i + kSums <= count; i += kSums) {
    for (int lane = 0; lane < kSums; ++lane) {
      const double value = values[i + lane];
      sums[lane] += value * value;
    }
  }
  for (int lane = 0; i < count; ++i, ++lane) {
    const double value = values[i];
    sums[lane] += value * value;
  }
  return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

}  // namespace txtsum::ops
