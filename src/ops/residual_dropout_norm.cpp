#include "txtsum/ops/residual_dropout_norm.h"

#include <ATen/Parallel.h>

#include <algorithm>

#include "device_ops.h"
#include "dropout_rows.h"
#include "float_rows.h"
#include "graph.h"

namespace txtsum::ops {
namespace {

struct NormNode final : torch::autograd::Node {
  NormRefs refs;
  DropoutKey dropout;
  bool has_residual = false;
  NormMoments saved;  // made here, not autograd variables

  torch::autograd::variable_list apply(torch::autograd::variable_list&& grads) override;
  void release_variables() override { saved = {}; }
};

/// Computes the output; fills `saved` where it is given.
at::Tensor forward(const at::Tensor& x_ND, const at::Tensor& residual_ND, const NormRefs& refs, const DropoutKey& key,
                   NormMoments* saved) {
  const at::Tensor bias_D = values_of(refs.bias);
  if constexpr (kWithCuda) {
    if (x_ND.is_cuda()) {
      return cuda::norm(x_ND, {bias_D, residual_ND, refs.scale.value(), refs.shift.value(), refs.epsilon}, key, saved);
    }
  }
  const at::Tensor x = x_ND.contiguous();
  at::Tensor out = at::empty_like(x);
  const int64_t rows = x.size(0), width = x.size(1);
  const bool sum_is_x = !residual_ND.defined() && !key.active() && !bias_D.defined();
  if (saved != nullptr) {
    saved->sum_ND = sum_is_x ? x : at::empty_like(x);
    saved->mean_N = at::empty({rows}, at::kFloat);
    saved->inverse_N = at::empty({rows}, at::kFloat);
  }
  float* means = saved != nullptr ? saved->mean_N.mutable_data_ptr<float>() : nullptr;
  float* inverses = saved != nullptr ? saved->inverse_N.mutable_data_ptr<float>() : nullptr;
  const std::vector<float> scales = float_vector(refs.scale.value()), shifts = float_vector(refs.shift.value());
  const std::vector<float> biases = bias_D.defined() ? float_vector(bias_D) : std::vector<float>();
  const at::Tensor residual = residual_ND.defined() ? residual_ND.contiguous() : x;
  const FloatRows x_rows(x), residual_rows(residual), out_rows(out);
  const FloatRows sum_rows(saved != nullptr ? saved->sum_ND : out);
  const DropoutRows mask(key);
  at::parallel_for(0, rows, 16, [&](int64_t begin, int64_t end) {
    std::vector<float> sum(static_cast<size_t>(width)), other(static_cast<size_t>(width));
    for (int64_t row = begin; row < end; ++row) {
      x_rows.copy(row, sum.data());
      if (!biases.empty()) add_row(sum.data(), biases.data(), width);
      if (mask.active()) drop_row(sum.data(), width, 0, mask.row(row));
      if (residual_ND.defined()) add_row(sum.data(), residual_rows.read(row, other.data()), width);
      float mean = 0.0f, inverse = 0.0f;
      row_moments(sum.data(), width, static_cast<float>(refs.epsilon), /*centred=*/true, &mean, &inverse);
      if (saved != nullptr) {
        if (!sum_is_x) sum_rows.write(row, sum.data());
        means[row] = mean;
        inverses[row] = inverse;
      }
      norm_row(sum.data(), width, mean, inverse, scales.data(), shifts.data(), other.data());
      out_rows.write(row, other.data());
    }
  });
  return out;
}

torch::autograd::variable_list NormNode::apply(torch::autograd::variable_list&& grads) {
  const at::NoGradGuard no_grad;
  if (!grads[0].defined()) return {at::Tensor(), at::Tensor()};
  if constexpr (kWithCuda) {
    if (grads[0].is_cuda()) {
      const cuda::NormGradients d =
          cuda::norm_backward(grads[0], saved, refs.scale.value(), dropout,
                              {gradient_of(refs.scale), gradient_of(refs.shift), gradient_of(refs.bias)});
      return {d.d_x_ND, has_residual ? d.d_sum_ND : at::Tensor()};
    }
  }
  const at::Tensor d_out = grads[0].contiguous();
  const int64_t rows = d_out.size(0), width = d_out.size(1);
  // Residual and x share the gradient of their sum; where a mask stands before x, x has its own.
  at::Tensor d_sum = at::empty_like(d_out);
  at::Tensor d_x = dropout.active() ? at::empty_like(d_out) : d_sum;
  const std::vector<float> scales = float_vector(refs.scale.value());
  const FloatRows d_out_rows(d_out), saved_rows(saved.sum_ND), d_sum_rows(d_sum), d_x_rows(d_x);
  const DropoutRows mask(dropout);
  const float* means = saved.mean_N.const_data_ptr<float>();
  const float* inverses = saved.inverse_N.const_data_ptr<float>();
  // One partial sum a chunk, added in order: the result depends on the number of threads alone.
  const int64_t chunks = std::max<int64_t>(1, std::min<int64_t>(at::get_num_threads(), rows));
  at::Tensor partial = at::zeros({chunks, 3, width}, at::kFloat);
  float* partials = partial.mutable_data_ptr<float>();
  at::parallel_for(0, chunks, 1, [&](int64_t begin, int64_t end) {
    std::vector<float> a(static_cast<size_t>(width)), b(static_cast<size_t>(width)), d(static_cast<size_t>(width));
    for (int64_t chunk = begin; chunk < end; ++chunk) {
      float* d_scale = partials + chunk * 3 * width;
      for (int64_t row = rows * chunk / chunks; row < rows * (chunk + 1) / chunks; ++row) {
        norm_row_backward(d_out_rows.read(row, a.data()), saved_rows.read(row, b.data()), width, /*centred=*/true,
                          means[row], inverses[row], scales.data(), d.data(), d_scale, d_scale + width);
        d_sum_rows.write(row, d.data());
        if (mask.active()) {
          drop_row(d.data(), width, 0, mask.row(row));
          d_x_rows.write(row, d.data());
        }
        if (trains(refs.bias)) add_row(d_scale + 2 * width, d.data(), width);
      }
    }
  });
  const at::Tensor total = partial.sum(0);
  int64_t vector = 0;
  for (const ParamRef* ref : {&refs.scale, &refs.shift, &refs.bias}) {
    if (trains(*ref)) ref->gradient().add_(total.select(0, vector));
    ++vector;
  }
  return {d_x, has_residual ? d_sum : at::Tensor()};
}

}  // namespace

at::Tensor residual_dropout_norm(const at::Tensor& x_ND, const at::Tensor& residual_ND, const NormRefs& refs,
                                 const DropoutKey& dropout) {
  std::shared_ptr<NormNode> node;
  if (graph_needed({x_ND, residual_ND}, {refs.scale, refs.shift, refs.bias})) {
    node = make_node<NormNode>({x_ND, residual_ND});
    node->refs = refs;
    node->dropout = dropout;
    node->has_residual = residual_ND.defined();
  }
  at::Tensor out;
  {
    const at::NoGradGuard no_grad;
    NormMoments moments;
    out = forward(x_ND.detach(), residual_ND.defined() ? residual_ND.detach() : residual_ND, refs, dropout,
                  node ? &moments : nullptr);
    if (node) node->saved = moments;
  }
  if (node) torch::autograd::set_history(out, node);
  return out;
}

}  // namespace txtsum::ops
