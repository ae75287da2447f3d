#include "update_kernels.h"

#include <cmath>
#include <cstring>

// GCC's resolver functions run before the address sanitizer has started.
#if defined(__SANITIZE_ADDRESS__)
#define TXTSUM_CLONES
#else
#define TXTSUM_CLONES __attribute__((target_clones("default", "avx2", "avx512f"), optimize("O3,no-math-errno")))
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
