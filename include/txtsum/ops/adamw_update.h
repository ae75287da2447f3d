#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace txtsum::ops {

/// A stretch of an arena that is updated alike. Elements [begin, end).
struct UpdateSpan {
  int64_t begin = 0;
  int64_t end = 0;
  bool decay = true;    ///< Weight decay applies.
  bool frozen = false;  ///< Neither updated nor counted in the gradient norm.
};

/// The arenas of one AdamW update, 1-D, contiguous and laid out alike, on one device.
struct AdamWTensors {
  at::Tensor masters;        ///< fp32, updated.
  at::Tensor gradients;      ///< fp32, bf16 or fp16, read.
  at::Tensor first_moment;   ///< fp32, updated.
  at::Tensor second_moment;  ///< fp32, updated.
  at::Tensor working;  ///< bf16 or fp16, written as round(masters); undefined: the masters are the working weights.
};

struct AdamWScalars {
  double learning_rate = 0.0;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0.0;
  int64_t update = 1;            ///< Number of this update, from 1, for the bias corrections 1 - beta^update.
  double gradient_factor = 1.0;  ///< Multiplies every gradient first.
};

/// AdamW (Loshchilov and Hutter 2019, arXiv:1711.05101, algorithm 2) as torch.optim.AdamW computes it, in one
/// multi-threaded pass. `spans` are sorted and do not overlap. An element's result does not depend on spans, threads or
/// neighbours.
void adamw_update(const AdamWTensors& tensors, const std::vector<UpdateSpan>& spans, const AdamWScalars& scalars);

/// Sum of the squares of `gradients` (1-D, fp32, bf16 or fp16) over the spans that are not frozen. Squares are added in
/// fp64 in an order that depends on nothing but the sizes. Infinity and NaN carry through.
double gradient_square_sum(const at::Tensor& gradients, const std::vector<UpdateSpan>& spans);

/// The Euclidean norm: its square root.
double gradient_norm(const at::Tensor& gradients, const std::vector<UpdateSpan>& spans);

}  // namespace txtsum::ops
