#include "txtsum/ops/dropout.h"

#include <ATen/Parallel.h>

#include "device_ops.h"
#include "dropout_rows.h"
#include "float_rows.h"
#include "graph.h"
#include "txtsum/core/check.h"

namespace txtsum::ops {

std::array<uint32_t, 2> dropout_words(uint64_t seed, int64_t update) {
  return {static_cast<uint32_t>(seed) ^ static_cast<uint32_t>(seed >> 32) * 0x9E3779B9u, static_cast<uint32_t>(update)};
}

DropoutRow common_row(const DropoutKey& key) {
  TXTSUM_CHECK(key.probability < 1.0, key.probability);
  const auto [key0, key1] = dropout_words(key.seed, key.update);
  DropoutRow row;
  row.key0 = key0;
  row.key1 = key1;
  row.site = static_cast<uint32_t>(key.site);
  row.threshold = static_cast<uint32_t>(key.probability * 4294967296.0);
  row.keep_factor = static_cast<float>(1.0 / (1.0 - key.probability));
  return row;
}

DropoutRows::DropoutRows(const DropoutKey& key)
    : active_(key.active()), examples_N_(key.examples_N), positions_N_(key.positions_N) {
  if (!active_) return;
  common_ = common_row(key);
  examples_ = examples_N_.const_data_ptr<int64_t>();
  positions_ = positions_N_.const_data_ptr<int64_t>();
}

DropoutRow DropoutRows::row(int64_t row) const {
  DropoutRow result = common_;
  result.example = static_cast<uint32_t>(examples_[row]);
  result.position = static_cast<uint32_t>(positions_[row]);
  return result;
}

namespace {

at::Tensor apply_mask(const at::Tensor& x_ND, const DropoutKey& key) {
  if constexpr (kWithCuda) {
    if (x_ND.is_cuda()) return cuda::dropout(x_ND, key);
  }
  const at::Tensor x = x_ND.contiguous();
  at::Tensor out = at::empty_like(x);
  const FloatRows in_rows(x), out_rows(out);
  const DropoutRows mask(key);
  at::parallel_for(0, x.size(0), 16, [&](int64_t begin, int64_t end) {
    std::vector<float> buffer(static_cast<size_t>(in_rows.width()));
    for (int64_t row = begin; row < end; ++row) {
      in_rows.copy(row, buffer.data());
      drop_row(buffer.data(), in_rows.width(), 0, mask.row(row));
      out_rows.write(row, buffer.data());
    }
  });
  return out;
}

struct DropoutNode final : torch::autograd::Node {
  DropoutKey key;

  torch::autograd::variable_list apply(torch::autograd::variable_list&& grads) override {
    const at::NoGradGuard no_grad;
    if (!grads[0].defined()) return {at::Tensor()};
    return {apply_mask(grads[0], key)};
  }
};

}  // namespace

at::Tensor dropout(const at::Tensor& x_ND, const DropoutKey& key) {
  if (!key.active()) return x_ND;
  std::shared_ptr<DropoutNode> node;
  if (graph_needed({x_ND}, {})) {
    node = make_node<DropoutNode>({x_ND});
    node->key = key;
  }
  at::Tensor out;
  {
    const at::NoGradGuard no_grad;
    out = apply_mask(x_ND, key);
  }
  if (node) torch::autograd::set_history(out, node);
  return out;
}

}  // namespace txtsum::ops
