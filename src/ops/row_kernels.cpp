#include "row_kernels.h"

#include <algorithm>
#include <cmath>
#include <cstring>

// GCC's resolver functions run before the address sanitizer has started.
#if defined(__SANITIZE_ADDRESS__)
#define TXTSUM_CLONES
#else
#define TXTSUM_CLONES __attribute__((target_clones("default", "avx2", "arch=x86-64-v4"), optimize("O3,no-math-errno")))
#endif

namespace txtsum::ops {
namespace {

constexpr int kLanes = 16;

// Vectors that are spelled out: GCC makes none of loops over arrays where words are multiplied, which took four times
// as long on AVX-512.
using Wide = uint64_t __attribute__((vector_size(64)));
using Words = uint32_t __attribute__((vector_size(64)));
using Floats = float __attribute__((vector_size(64)));
constexpr int64_t kDrawn = 32;

/// What the elements of eight counters of Philox4x32-10 (core/random.h) are multiplied with, four a counter. A word has
/// 64 bits, so that its products fit.
inline __attribute__((always_inline)) void draw_factors(uint64_t first_counter, const DropoutRow& row, float* factors) {
  const Wide low_half = Wide{} + 0xFFFFFFFFu, numbers{0, 1, 2, 3, 4, 5, 6, 7};
  Wide c0 = (numbers + first_counter) & low_half, c1 = Wide{} + row.position, c2 = Wide{} + row.example,
       c3 = Wide{} + row.site;
  uint32_t key0 = row.key0, key1 = row.key1;
  for (int round = 0; round < 10; ++round) {
    const Wide a = c0 * 0xD2511F53u, b = c2 * 0xCD9E8D57u;
    c0 = (b >> 32) ^ c1 ^ uint64_t { key0 };
    c1 = b & low_half;
    c2 = (a >> 32) ^ c3 ^ uint64_t { key1 };
    c3 = a & low_half;
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  // The words in their order: pairs of them, then pairs in turn.
  const Wide pairs = c0 | c1 << 32, others = c2 | c3 << 32;
  const auto front = reinterpret_cast<Words>(__builtin_shufflevector(pairs, others, 0, 8, 1, 9, 2, 10, 3, 11));
  const auto back = reinterpret_cast<Words>(__builtin_shufflevector(pairs, others, 4, 12, 5, 13, 6, 14, 7, 15));
  const Floats zero{}, kept = zero + row.keep_factor;
  const Floats of_front = front < row.threshold ? zero : kept, of_back = back < row.threshold ? zero : kept;
  std::memcpy(factors, &of_front, sizeof of_front);
  std::memcpy(factors + 16, &of_back, sizeof of_back);
}

}  // namespace

TXTSUM_CLONES void drop_row(float* values, int64_t count, int64_t first_channel, const DropoutRow& row) {
  const uint64_t first_counter = static_cast<uint64_t>(first_channel) / 4;
  for (int64_t start = 0; start < count; start += kDrawn) {
    float factors[kDrawn];
    draw_factors(first_counter + static_cast<uint64_t>(start) / 4, row, factors);
    const int64_t width = std::min<int64_t>(count - start, kDrawn);
    for (int64_t i = 0; i < width; ++i) values[start + i] *= factors[i];
  }
}

TXTSUM_CLONES void row_moments(const float* values, int64_t count, float epsilon, bool centred, float* mean,
                               float* inverse_deviation) {
  float partial[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (int lane = 0; lane < kLanes; ++lane) partial[lane] += values[i + lane];
  }
  double sum = 0.0;
  for (int lane = 0; lane < kLanes; ++lane) sum += partial[lane];
  for (; i < count; ++i) sum += values[i];
  const float average = centred ? static_cast<float>(sum / static_cast<double>(count)) : 0.0f;
  float squares[kLanes] = {};
  for (i = 0; i + kLanes <= count; i += kLanes) {
    for (int lane = 0; lane < kLanes; ++lane) {
      const float difference = values[i + lane] - average;
      squares[lane] += difference * difference;
    }
  }
  double square_sum = 0.0;
  for (int lane = 0; lane < kLanes; ++lane) square_sum += squares[lane];
  for (; i < count; ++i) square_sum += (values[i] - average) * (values[i] - average);
  *mean = average;
  *inverse_deviation = static_cast<float>(1.0 / std::sqrt(square_sum / static_cast<double>(count) + epsilon));
}

TXTSUM_CLONES void norm_row(const float* values, int64_t count, float mean, float inverse_deviation, const float* scale,
                            const float* shift, float* out) {
  for (int64_t i = 0; i < count; ++i) out[i] = (values[i] - mean) * inverse_deviation * scale[i] + shift[i];
}

TXTSUM_CLONES void norm_row_backward(const float* d_out, const float* values, int64_t count, bool centred, float mean,
                                     float inverse_deviation, const float* scale, float* d_values, float* d_scale,
                                     float* d_shift) {
  float sums[kLanes] = {}, products[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (int lane = 0; lane < kLanes; ++lane) {
      const float normalized = (values[i + lane] - mean) * inverse_deviation;
      const float d_normalized = d_out[i + lane] * scale[i + lane];
      d_scale[i + lane] += d_out[i + lane] * normalized;
      d_shift[i + lane] += d_out[i + lane];
      sums[lane] += d_normalized;
      products[lane] += d_normalized * normalized;
    }
  }
  float sum = 0.0f, product = 0.0f;
  for (int lane = 0; lane < kLanes; ++lane) {
    sum += sums[lane];
    product += products[lane];
  }
  for (; i < count; ++i) {
    const float normalized = (values[i] - mean) * inverse_deviation;
    const float d_normalized = d_out[i] * scale[i];
    d_scale[i] += d_out[i] * normalized;
    d_shift[i] += d_out[i];
    sum += d_normalized;
    product += d_normalized * normalized;
  }
  sum = centred ? sum / static_cast<float>(count) : 0.0f;
  product /= static_cast<float>(count);
  for (i = 0; i < count; ++i) {
    const float normalized = (values[i] - mean) * inverse_deviation;
    d_values[i] = inverse_deviation * (d_out[i] * scale[i] - sum - normalized * product);
  }
}

TXTSUM_CLONES void add_row(float* sum, const float* values, int64_t count) {
  for (int64_t i = 0; i < count; ++i) sum[i] += values[i];
}

TXTSUM_CLONES float dot_row(const float* a, const float* b, int64_t count) {
  float partial[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (int lane = 0; lane < kLanes; ++lane) partial[lane] += a[i + lane] * b[i + lane];
  }
  float sum = 0.0f;
  for (int lane = 0; lane < kLanes; ++lane) sum += partial[lane];
  for (; i < count; ++i) sum += a[i] * b[i];
  return sum;
}

TXTSUM_CLONES void add_scaled_row(float* out, const float* values, float factor, int64_t count) {
  for (int64_t i = 0; i < count; ++i) out[i] += factor * values[i];
}

}  // namespace txtsum::ops
