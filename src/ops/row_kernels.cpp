#include "row_kernels.h"

#include <cmath>

// GCC's resolver functions run before the address sanitizer has started.
#if defined(__SANITIZE_ADDRESS__)
#define TXTSUM_CLONES
#else
#define TXTSUM_CLONES __attribute__((target_clones("default", "avx2", "arch=x86-64-v4"), optimize("O3,no-math-errno")))
#endif

namespace txtsum::ops {
namespace {

constexpr int kLanes = 16;

}  // namespace

TXTSUM_CLONES void drop_row(float* values, int64_t count, int64_t first_channel, const DropoutRow& row) {
  for (int64_t start = 0; start < count; start += 4 * kLanes) {
    // Philox4x32-10 (core/random.h) for 16 counters side by side.
    uint32_t c0[kLanes], c1[kLanes], c2[kLanes], c3[kLanes];
    const uint32_t first = static_cast<uint32_t>((first_channel + start) / 4);
    for (int i = 0; i < kLanes; ++i) {
      c0[i] = first + static_cast<uint32_t>(i);
      c1[i] = row.position;
      c2[i] = row.example;
      c3[i] = row.site;
    }
    uint32_t key0 = row.key0, key1 = row.key1;
    for (int round = 0; round < 10; ++round) {
      for (int i = 0; i < kLanes; ++i) {
        const uint64_t a = uint64_t{0xD2511F53u} * c0[i];
        const uint64_t b = uint64_t{0xCD9E8D57u} * c2[i];
        c0[i] = static_cast<uint32_t>(b >> 32) ^ c1[i] ^ key0;
        c1[i] = static_cast<uint32_t>(b);
        c2[i] = static_cast<uint32_t>(a >> 32) ^ c3[i] ^ key1;
        c3[i] = static_cast<uint32_t>(a);
      }
      key0 += 0x9E3779B9u;
      key1 += 0xBB67AE85u;
    }
    float factors[4 * kLanes];
    for (int i = 0; i < kLanes; ++i) {
      factors[4 * i] = c0[i] < row.threshold ? 0.0f : row.keep_factor;
      factors[4 * i + 1] = c1[i] < row.threshold ? 0.0f : row.keep_factor;
      factors[4 * i + 2] = c2[i] < row.threshold ? 0.0f : row.keep_factor;
      factors[4 * i + 3] = c3[i] < row.threshold ? 0.0f : row.keep_factor;
    }
    const int64_t width = count - start < 4 * kLanes ? count - start : 4 * kLanes;
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
