#include "txtsum/ops/linear_cross_entropy.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "device_ops.h"
#include "graph.h"
#include "product_gradient.h"
#include "txtsum/core/check.h"

namespace txtsum::ops {
namespace {

/// Bytes of fp32 logits that one chunk may hold.
constexpr int64_t kChunkBytes = int64_t{64} << 20;
/// Bytes of logits, in the weights' type, that one chunk may hold on a GPU.
constexpr int64_t kDeviceChunkBytes = int64_t{256} << 20;

struct CrossEntropyNode final : torch::autograd::Node {
  at::Tensor d_x_MD;

  torch::autograd::variable_list apply(torch::autograd::variable_list&& grads) override {
    const at::NoGradGuard no_grad;
    if (!grads[0].defined() || !d_x_MD.defined()) return {at::Tensor()};
    return {d_x_MD.mul_(grads[0])};
  }

  void release_variables() override { d_x_MD.reset(); }
};

struct Chunk {
  at::Tensor loss, nll, d_logits_CV;
};

/// Loss of C rows and, where `with_gradient`, its derivative by the logits; overwrites `logits`.
Chunk chunk_loss(const at::Tensor& logits_CV, const at::Tensor& labels_C, double smoothing, bool with_gradient) {
  const double vocabulary = static_cast<double>(logits_CV.size(1));
  const at::Tensor counts_C = (labels_C >= 0).to(at::kFloat);
  const at::Tensor labels_C1 = labels_C.clamp_min(0).unsqueeze(1);
  const at::Tensor log_sum_C = at::logsumexp(logits_CV, {1});
  Chunk chunk;
  chunk.nll = (log_sum_C - logits_CV.gather(1, labels_C1).squeeze(1)).mul_(counts_C).sum();
  chunk.loss = chunk.nll;
  if (smoothing > 0.0) {
    const at::Tensor uniform = (log_sum_C - logits_CV.mean(1)).mul_(counts_C).sum();
    chunk.loss = chunk.nll * (1.0 - smoothing) + uniform * smoothing;
  }
  if (with_gradient) {
    chunk.d_logits_CV = logits_CV.sub_(log_sum_C.unsqueeze(1)).exp_();
    if (smoothing > 0.0) chunk.d_logits_CV.sub_(smoothing / vocabulary);
    chunk.d_logits_CV.scatter_add_(1, labels_C1, at::full_like(labels_C1, -(1.0 - smoothing), at::kFloat));
    if (at::min(labels_C).item<int64_t>() < 0) chunk.d_logits_CV.mul_(counts_C.unsqueeze(1));
  }
  return chunk;
}

/// The chunks on a GPU: over the padded rows too, whose derivative is zero, so that the products are aligned.
void device_chunks(const at::Tensor& x_MD, const ParamRef& weight_VD, const at::Tensor& bias_V,
                   const at::Tensor& labels_M, const CrossEntropyOptions& options, CrossEntropyNode* node,
                   CrossEntropySums& sums) {
  const at::Tensor weight = weight_VD.value();
  const int64_t row_bytes = weight.size(0) * static_cast<int64_t>(weight.element_size());
  const int64_t rows = std::max<int64_t>(16, kDeviceChunkBytes / row_bytes);
  for (int64_t begin = 0; begin < x_MD.size(0); begin += rows) {
    const int64_t count = std::min(rows, x_MD.size(0) - begin);
    const at::Tensor x_CD = x_MD.narrow(0, begin, count);
    const at::Tensor logits_CV = at::mm(x_CD, weight.t());
    const cuda::RowLosses losses = cuda::cross_entropy(logits_CV, bias_V, labels_M.narrow(0, begin, count), options,
                                                       /*with_gradient=*/node != nullptr);
    sums.loss.add_(losses.loss_M.sum());
    sums.nll.add_(losses.nll_M.sum());
    if (node == nullptr) continue;
    if (trains(weight_VD)) add_product_gradient(weight_VD, logits_CV, x_CD);
    if (node->d_x_MD.defined()) {
      at::Tensor d_x_CD = node->d_x_MD.narrow(0, begin, count);
      at::mm_out(d_x_CD, logits_CV, weight);
    }
  }
}

}  // namespace

int64_t logits_chunk_bytes(const at::Device& device) { return device.is_cuda() ? kDeviceChunkBytes : kChunkBytes; }

CrossEntropySums linear_cross_entropy(const at::Tensor& x_MD, const ParamRef& weight_VD, const at::Tensor& bias_V,
                                      const at::Tensor& labels_M, const CrossEntropyOptions& options) {
  TXTSUM_CHECK(x_MD.size(0) == labels_M.size(0));
  const bool with_gradient = graph_needed({x_MD}, {weight_VD});
  std::shared_ptr<CrossEntropyNode> node;
  if (with_gradient) node = make_node<CrossEntropyNode>({x_MD});
  CrossEntropySums sums;
  {
    const at::NoGradGuard no_grad;
    const at::Tensor x = x_MD.detach();
    if (with_gradient && x_MD.requires_grad()) node->d_x_MD = at::empty_like(x);
    sums.loss = at::zeros({}, x.options().dtype(at::kFloat));
    sums.nll = at::zeros_like(sums.loss);
    if constexpr (kWithCuda) {
      if (x.is_cuda()) {
        device_chunks(x, weight_VD, bias_V, labels_M, options, node.get(), sums);
        if (node) torch::autograd::set_history(sums.loss, node);
        return sums;
      }
    }
    const int64_t vocabulary = options.vocabulary;
    const at::Tensor weight = weight_VD.value().narrow(0, 0, vocabulary);
    const int64_t rows = std::max<int64_t>(16, kChunkBytes / (vocabulary * 4));
    for (int64_t begin = 0; begin < x.size(0); begin += rows) {
      const int64_t count = std::min(rows, x.size(0) - begin);
      const at::Tensor x_CD = x.narrow(0, begin, count);
      at::Tensor logits_CV = at::mm(x_CD, weight.t()).to(at::kFloat);
      if (bias_V.defined()) logits_CV.add_(bias_V);
      Chunk chunk = chunk_loss(logits_CV, labels_M.narrow(0, begin, count), options.smoothing, with_gradient);
      sums.loss.add_(chunk.loss);
      sums.nll.add_(chunk.nll);
      if (!with_gradient) continue;
      if (options.gradient_factor_1.defined()) chunk.d_logits_CV.mul_(options.gradient_factor_1);
      const at::Tensor d_logits_CV = chunk.d_logits_CV.to(x.scalar_type());
      if (trains(weight_VD)) add_product_gradient(weight_VD, d_logits_CV, x_CD);
      if (node->d_x_MD.defined()) {
        at::Tensor d_x_CD = node->d_x_MD.narrow(0, begin, count);
        at::mm_out(d_x_CD, d_logits_CV, weight);
      }
    }
  }
  if (node) torch::autograd::set_history(sums.loss, node);
  return sums;
}

}  // namespace txtsum::ops
