#pragma once

// Loops of the optimizer over a stretch of an arena, compiled for plain x86-64, AVX2 and AVX-512 and chosen at run
// time.

#include <cstdint>

#include "txtsum/ops/adamw_update.h"

namespace txtsum::ops {

/// The numbers of one AdamW update, as the loop uses them.
struct AdamWFactors {
  float gradient_factor = 1.0f;
  float decay_factor = 1.0f;  ///< 1 - learning rate * weight decay.
  float one_minus_beta1 = 0.1f;
  float beta2 = 0.999f;
  float one_minus_beta2 = 0.001f;
  float step_size = 0.0f;     ///< Learning rate / (1 - beta1^t).
  float inverse_root = 1.0f;  ///< 1 / sqrt(1 - beta2^t).
  float epsilon = 1e-8f;
};

AdamWFactors adamw_factors(const AdamWScalars& scalars, bool decay);

void adamw_stretch(float* masters, const float* gradients, float* first, float* second, int64_t count,
                   const AdamWFactors& factors);

/// floats[i] = bf16 bits[i].
void widen_stretch(const uint16_t* bits, float* floats, int64_t count);

/// bits[i] = bf16 nearest to floats[i], ties to even.
void round_stretch(const float* floats, uint16_t* bits, int64_t count);

/// floats[i] = fp16 bits[i].
void widen_half_stretch(const uint16_t* bits, float* floats, int64_t count);

/// bits[i] = fp16 nearest to floats[i], ties to even; infinity beyond 65504.
void round_half_stretch(const float* floats, uint16_t* bits, int64_t count);

/// Sum of squares in fp64, in eight interleaved sums.
double square_sum_stretch(const float* values, int64_t count);

}  // namespace txtsum::ops
