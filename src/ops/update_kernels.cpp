#include "update_kernels.h"

#include <cmath>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

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

namespace {

/// fp16 as any CPU can convert it, one by one. Its exponent and mantissa, taken as those of an fp32, are its value
/// times 2^-112: a product puts that right, of subnormal numbers too.
void widen_half_slowly(const uint16_t* bits, float* floats, int64_t count) {
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

void round_half_slowly(const float* floats, uint16_t* bits, int64_t count) {
  constexpr uint32_t kInfinity = 0x7F800000u;
  constexpr uint32_t kLeastNormal = 113u << 23;  // 2^-14
  constexpr uint32_t kOverflow = 0x477FF000u;    // 65520, which is as near to 65536 as to 65504
  constexpr float kSubnormalUnit = 0x1p-1f;      // whose last place is fp16's smallest number, 2^-24
  for (int64_t i = 0; i < count; ++i) {
    uint32_t word;
    std::memcpy(&word, &floats[i], sizeof(word));
    const uint32_t magnitude = word & 0x7FFFFFFFu;
    uint32_t half = (magnitude - (112u << 23) + 0xFFFu + ((magnitude >> 13) & 1u)) >> 13;
    if (magnitude < kLeastNormal) {
      float small;
      std::memcpy(&small, &magnitude, sizeof(small));
      small += kSubnormalUnit;
      std::memcpy(&half, &small, sizeof(half));
      half -= 126u << 23;
    }
    if (magnitude >= kOverflow) half = magnitude > kInfinity ? 0x7E00u : 0x7C00u;
    bits[i] = static_cast<uint16_t>(half | ((word >> 16) & 0x8000u));
  }
}

#if defined(__x86_64__)

/// As the CPU's own instructions convert it, eight at a time; how many those are.
__attribute__((target("avx,f16c"))) int64_t widen_half_quickly(const uint16_t* bits, float* floats, int64_t count) {
  int64_t i = 0;
  for (; i + 8 <= count; i += 8) {
    _mm256_storeu_ps(floats + i, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(bits + i))));
  }
  return i;
}

__attribute__((target("avx,f16c"))) int64_t round_half_quickly(const float* floats, uint16_t* bits, int64_t count) {
  int64_t i = 0;
  for (; i + 8 <= count; i += 8) {
    const __m128i halfs = _mm256_cvtps_ph(_mm256_loadu_ps(floats + i), _MM_FROUND_TO_NEAREST_INT);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(bits + i), halfs);
  }
  return i;
}

bool converts_halfs() {
  static const bool does = __builtin_cpu_supports("avx") && __builtin_cpu_supports("f16c");
  return does;
}

#else

int64_t widen_half_quickly(const uint16_t*, float*, int64_t) { return 0; }
int64_t round_half_quickly(const float*, uint16_t*, int64_t) { return 0; }
bool converts_halfs() { return false; }

#endif

}  // namespace

void widen_half_stretch(const uint16_t* bits, float* floats, int64_t count) {
  const int64_t done = converts_halfs() ? widen_half_quickly(bits, floats, count) : 0;
  widen_half_slowly(bits + done, floats + done, count - done);
}

void round_half_stretch(const float* floats, uint16_t* bits, int64_t count) {
  const int64_t done = converts_halfs() ? round_half_quickly(floats, bits, count) : 0;
  round_half_slowly(floats + done, bits + done, count - done);
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
