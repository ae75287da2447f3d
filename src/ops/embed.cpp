#include "txtsum/ops/embed.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "device_ops.h"
#include "float_rows.h"
#include "graph.h"
#include "row_kernels.h"
#include "txtsum/ops/dropout.h"

namespace txtsum::ops {
namespace {

/// gradient[row_numbers[n]] += factor * d_ND[n]. Threads split the columns, so that the order of additions is fixed.
void scatter_rows(const at::Tensor& gradient, const at::Tensor& row_numbers_N, const at::Tensor& d_ND, double factor) {
  if constexpr (kWithCuda) {
    if (gradient.is_cuda()) return cuda::scatter_rows(gradient, row_numbers_N, d_ND, factor);
  }
  if (gradient.scalar_type() != at::kFloat) {
    gradient.index_add_(0, row_numbers_N, d_ND.to(gradient.scalar_type()), factor);
    return;
  }
  const at::Tensor d = d_ND.to(at::kFloat).contiguous();
  const int64_t rows = d.size(0), width = d.size(1), stride = gradient.stride(0);
  const float* values = d.const_data_ptr<float>();
  const int64_t* numbers = row_numbers_N.const_data_ptr<int64_t>();
  float* out = gradient.mutable_data_ptr<float>();
  at::parallel_for(0, width, 64, [&](int64_t begin, int64_t end) {
    for (int64_t row = 0; row < rows; ++row) {
      add_scaled_row(out + numbers[row] * stride + begin, values + row * width + begin, static_cast<float>(factor),
                     end - begin);
    }
  });
}

struct EmbedNode final : torch::autograd::Node {
  EmbedRefs refs;
  EmbedOptions options;
  RaggedTokens tokens;
  NormRefs norm;  // with what follows: on a GPU alone
  DropoutKey key;
  NormMoments saved;  // made here, not autograd variables

  torch::autograd::variable_list apply(torch::autograd::variable_list&& grads) override {
    const at::NoGradGuard no_grad;
    if (!grads[0].defined()) return {};
    const at::Tensor d_ND = of_sum(grads[0]);
    if (trains(refs.table)) scatter_rows(refs.table.gradient(), tokens.ids_N, of_moving_rows(d_ND), options.scale);
    if (trains(refs.positions)) scatter_positions(d_ND);
    return {};
  }
  void release_variables() override { saved = {}; }

  /// The gradient of the sum of both rows.
  at::Tensor of_sum(const at::Tensor& grad_ND) const {
    if constexpr (kWithCuda) {
      if (grad_ND.is_cuda()) {
        const at::Tensor d_ND = key.active() ? cuda::dropout(grad_ND, key) : grad_ND;
        if (norm.scale.index < 0) return d_ND;
        return cuda::norm_backward(d_ND, saved, norm.scale.value(), {},
                                   {gradient_of(norm.scale), gradient_of(norm.shift), {}})
            .d_sum_ND;
      }
    }
    return grad_ND;
  }

  at::Tensor of_moving_rows(const at::Tensor& d_ND) const {
    if (options.still_id < 0) return d_ND;
    return d_ND.masked_fill(tokens.ids_N.eq(options.still_id).unsqueeze(1), 0.0);
  }

  void scatter_positions(const at::Tensor& d_ND) const {
    if constexpr (kWithCuda) {
      if (d_ND.is_cuda()) return cuda::add_position_rows(refs.positions.gradient(), tokens, d_ND, options.offset);
    }
    scatter_rows(refs.positions.gradient(), tokens.positions_N + options.offset, d_ND, 1.0);
  }
};

at::Tensor sum_on_cpu(const RaggedTokens& tokens, const EmbedRefs& refs, const EmbedOptions& options) {
  at::Tensor sum_ND = at::index_select(refs.table.value(), 0, tokens.ids_N);
  if (options.scale != 1.0) sum_ND.mul_(options.scale);
  if (refs.positions.index < 0) return sum_ND;
  return sum_ND.add_(at::index_select(refs.positions.value(), 0, tokens.positions_N + options.offset));
}

}  // namespace

at::Tensor embed(const RaggedTokens& tokens, const EmbedRefs& refs, const EmbedOptions& options, const NormRefs& norm,
                 const DropoutKey& key) {
  const bool on_gpu = kWithCuda && tokens.ids_N.is_cuda(), norms = norm.scale.index >= 0;
  std::shared_ptr<EmbedNode> node;
  if (on_gpu ? graph_needed({}, {refs.table, refs.positions, norm.scale, norm.shift})
             : graph_needed({}, {refs.table, refs.positions})) {
    node = make_node<EmbedNode>({});
    node->refs = refs;
    node->options = options;
    node->tokens = tokens;
  }
  at::Tensor out;
  {
    const at::NoGradGuard no_grad;
    if constexpr (kWithCuda) {
      if (on_gpu) {
        NormMoments moments;
        out = cuda::embed(
            {refs.table.value(), values_of(refs.positions), values_of(norm.scale), values_of(norm.shift), norm.epsilon},
            tokens, options, key, node ? &moments : nullptr);
        if (node) {
          node->norm = norm;
          node->key = key;
          node->saved = moments;
        }
      }
    }
    if (!on_gpu) out = sum_on_cpu(tokens, refs, options);
  }
  if (node) torch::autograd::set_history(out, node);
  if (on_gpu) return out;
  if (norms) out = residual_dropout_norm(out, {}, norm, {});
  return dropout(out, key);
}

}  // namespace txtsum::ops
