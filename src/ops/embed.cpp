#include "txtsum/ops/embed.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "device_ops.h"
#include "float_rows.h"
#include "graph.h"
#include "row_kernels.h"

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
  ParamRef table, positions;
  EmbedOptions options;
  RaggedTokens tokens;

  torch::autograd::variable_list apply(torch::autograd::variable_list&& grads) override {
    const at::NoGradGuard no_grad;
    if (grads[0].defined()) {
      if (trains(table)) scatter_rows(table.gradient(), tokens.ids_N, of_moving_rows(grads[0]), options.scale);
      if (trains(positions)) scatter_positions(grads[0]);
    }
    return {};
  }

  at::Tensor of_moving_rows(const at::Tensor& d_ND) const {
    if (options.still_id < 0) return d_ND;
    return d_ND.masked_fill(tokens.ids_N.eq(options.still_id).unsqueeze(1), 0.0);
  }

  void scatter_positions(const at::Tensor& d_ND) const {
    if constexpr (kWithCuda) {
      if (d_ND.is_cuda()) return cuda::add_position_rows(positions.gradient(), tokens, d_ND, options.offset);
    }
    scatter_rows(positions.gradient(), tokens.positions_N + options.offset, d_ND, 1.0);
  }
};

}  // namespace

at::Tensor embed(const RaggedTokens& tokens, const ParamRef& table_VD, const ParamRef& positions_PD,
                 const EmbedOptions& options) {
  std::shared_ptr<EmbedNode> node;
  if (graph_needed({}, {table_VD, positions_PD})) {
    node = make_node<EmbedNode>({});
    node->table = table_VD;
    node->positions = positions_PD;
    node->options = options;
    node->tokens = tokens;
  }
  at::Tensor out;
  {
    const at::NoGradGuard no_grad;
    const at::Tensor table = table_VD.value(), positions = values_of(positions_PD);
    if constexpr (kWithCuda) {
      if (table.is_cuda())
        out = cuda::embed(table, positions, tokens.ids_N, tokens.positions_N, options.scale, options.offset);
    }
    if (!out.defined()) {
      out = at::index_select(table, 0, tokens.ids_N);
      if (options.scale != 1.0) out.mul_(options.scale);
      if (positions.defined()) out.add_(at::index_select(positions, 0, tokens.positions_N + options.offset));
    }
  }
  if (node) torch::autograd::set_history(out, node);
  return out;
}

}  // namespace txtsum::ops
