#pragma once

// Loops over one row of floats, compiled for plain x86-64, AVX2 and AVX-512 and chosen at run time.

#include <cstdint>

namespace txtsum::ops {

/// One row of one dropout site, as DropoutKey describes it.
struct DropoutRow {
  uint32_t key0 = 0, key1 = 0;
  uint32_t position = 0, example = 0, site = 0;
  uint32_t threshold = 0;  ///< A word under it drops the element.
  float keep_factor = 1.0f;
};

/// values[i] becomes 0 or values[i] * keep_factor, by channel first_channel + i. first_channel is a multiple of 4.
void drop_row(float* values, int64_t count, int64_t first_channel, const DropoutRow& row);

/// Writes mean and 1 / sqrt(variance + epsilon) of the row; where it is not `centred`, 0 and 1 / sqrt(mean square +
/// epsilon).
void row_moments(const float* values, int64_t count, float epsilon, bool centred, float* mean,
                 float* inverse_deviation);

/// out = (values - mean) * inverse_deviation * scale + shift.
void norm_row(const float* values, int64_t count, float mean, float inverse_deviation, const float* scale,
              const float* shift, float* out);

/// Backward of norm_row with the moments of row_moments: adds to d_scale and d_shift, writes d_values.
void norm_row_backward(const float* d_out, const float* values, int64_t count, bool centred, float mean,
                       float inverse_deviation, const float* scale, float* d_values, float* d_scale, float* d_shift);

/// sum[i] += values[i].
void add_row(float* sum, const float* values, int64_t count);

/// Returns the product of two rows.
float dot_row(const float* a, const float* b, int64_t count);

/// out[i] += factor * values[i].
void add_scaled_row(float* out, const float* values, float factor, int64_t count);

}  // namespace txtsum::ops
