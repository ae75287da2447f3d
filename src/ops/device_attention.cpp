#include "device_attention.h"

#include <ATen/ATen.h>
#include <ATen/Context.h>

#include <algorithm>
#include <bit>
#include <limits>

#include "cudnn_attention.h"
#include "device_args.h"
#include "txtsum/ops/device.h"
#include "txtsum/ops/gpu_generation.h"

namespace txtsum::ops::cuda {
namespace {

// _efficient_attention_forward's numbers for its masks.
constexpr int64_t kNoMask = 0, kCausalFromTopLeft = 1;

int64_t mask_of(const AttentionOptions& options) { return options.causal ? kCausalFromTopLeft : kNoMask; }

bool is_fp32(const at::Tensor& q) { return q.scalar_type() == at::kFloat; }

/// Whether cuDNN may serve attention of this type and width of heads on the current GPU.
bool cudnn_plans(at::ScalarType dtype, int64_t head_width) {
  static const bool has_cudnn = has_cudnn_attention(current_gpu_major());
  return has_cudnn && (dtype == at::kBFloat16 || dtype == at::kHalf) && head_width % 16 == 0 && head_width <= 128 &&
         !at::globalContext().deterministicAlgorithms();
}

at::Tensor heads_of(const at::Tensor& rows_ND, int64_t heads) {
  return rows_ND.unflatten(1, {heads, rows_ND.size(1) / heads});
}

/// Longer sequences are FlashAttention-2's: its backward pass is the faster one there.
constexpr int64_t kLongestForCudnn = 2048;
/// Scratch memory has room for at least as many tokens, so that few plans serve all short batches.
constexpr int64_t kFewestPlannedTokens = 4096;

/// cuDNN's kernels for packed tokens want Hopper. Its gradients are sums in no fixed order, and its dropout is not
/// used. Over the short causal rows of a decoder it is no faster than FlashAttention-2, and would have to compile
/// kernels of their own.
bool cudnn_serves(const Packed& in, const AttentionShape& shape, const AttentionOptions& options) {
  const int64_t elements = std::max(in.q_MD.size(0) * in.q_MD.stride(0), in.k_ND.size(0) * in.k_ND.stride(0));
  return shape.recurs && !options.causal && !options.dropout.active() &&
         cudnn_plans(in.q_MD.scalar_type(), in.q_MD.size(1) / options.heads) &&
         std::max(shape.longest_q, shape.longest_k) <= kLongestForCudnn &&
         elements <= std::numeric_limits<int32_t>::max();
}

cudnn::AttentionPlan plan_of(const Packed& in, const AttentionShape& shape, const AttentionOptions& options,
                             bool backward) {
  cudnn::AttentionPlan plan;
  plan.slots = shape.q_offsets_B1.size(0) - 1;
  plan.longest_q = shape.longest_q;
  plan.longest_k = shape.longest_k;
  const auto tokens = static_cast<uint64_t>(std::max(in.q_MD.size(0), kFewestPlannedTokens));
  plan.tokens_q = static_cast<int64_t>(std::bit_ceil(tokens));
  plan.heads = options.heads;
  plan.head_width = in.q_MD.size(1) / options.heads;
  plan.q_stride = in.q_MD.stride(0);
  plan.k_stride = in.k_ND.stride(0);
  plan.scale = options.scale;
  plan.half = in.q_MD.scalar_type() == at::kHalf;
  plan.backward = backward;
  return plan;
}

/// The parts of one int32 tensor that has all indices of a batch.
class Indices {
 public:
  static constexpr int64_t kParts = 6;

  static at::Tensor make(const AttentionShape& shape) {
    return at::empty({kParts, padded(shape)}, shape.q_offsets_B1.options());
  }

  explicit Indices(const at::Tensor& all) : first_(all.mutable_data_ptr<int32_t>()), stride_(all.size(1)) {}

  int32_t* lengths_q() const { return part(0); }
  int32_t* lengths_k() const { return part(1); }
  int32_t* q() const { return part(2); }
  int32_t* k() const { return part(3); }
  int32_t* out() const { return part(4); }
  int32_t* sums() const { return part(5); }

  cudnn::AttentionIndices pointers() const { return {lengths_q(), lengths_k(), q(), k(), out(), sums()}; }

 private:
  static constexpr int64_t kAlignment = 16 / sizeof(int32_t);

  static int64_t padded(const AttentionShape& shape) {
    return (shape.q_offsets_B1.size(0) + kAlignment - 1) / kAlignment * kAlignment;
  }
  int32_t* part(int64_t number) const { return first_ + number * stride_; }

  int32_t* first_;
  int64_t stride_;
};

at::Tensor cudnn_indices(const Packed& in, const AttentionShape& shape, const AttentionOptions& options) {
  const at::Tensor all = Indices::make(shape);
  const Indices indices(all);
  const int64_t slots = shape.q_offsets_B1.size(0) - 1;
  const auto narrow = [](int64_t width) { return static_cast<int32_t>(width); };
  SequenceStarts queries{shape.q_offsets_B1.const_data_ptr<int32_t>(),
                         slots,
                         indices.lengths_q(),
                         {narrow(in.q_MD.stride(0)), narrow(in.q_MD.size(1)), narrow(options.heads)},
                         {indices.q(), indices.out(), indices.sums()}};
  SequenceStarts keys{shape.k_offsets_B1.const_data_ptr<int32_t>(),
                      slots,
                      indices.lengths_k(),
                      {narrow(in.k_ND.stride(0))},
                      {indices.k()}};
  sequence_starts(queries, keys, stream());
  return all;
}

cudnn::AttentionPointers pointers_of(const Packed& in, const AttentionResult& result) {
  cudnn::AttentionPointers pointers;
  pointers.indices = Indices(result.cudnn_indices).pointers();
  pointers.q = in.q_MD.const_data_ptr();
  pointers.k = in.k_ND.const_data_ptr();
  pointers.v = in.v_ND.const_data_ptr();
  pointers.out = result.out_MD.mutable_data_ptr();
  pointers.log_sums = result.log_sum.mutable_data_ptr();
  return pointers;
}

void run_cudnn(const cudnn::AttentionPlan& plan, const cudnn::AttentionPointers& pointers, const at::Tensor& like) {
  const auto bytes = static_cast<int64_t>(cudnn::attention_workspace_bytes(plan));
  const at::Tensor workspace = at::empty({std::max<int64_t>(bytes, 1)}, like.options().dtype(at::kByte));
  cudnn::run_attention(plan, pointers, workspace.mutable_data_ptr(), stream());
}

AttentionResult cudnn_attention(const Packed& in, const AttentionShape& shape, const AttentionOptions& options) {
  AttentionResult result;
  result.out_MD = at::empty(in.q_MD.sizes(), in.q_MD.options());
  result.log_sum = at::empty({in.q_MD.size(0), options.heads}, in.q_MD.options().dtype(at::kFloat));
  result.cudnn_indices = cudnn_indices(in, shape, options);
  run_cudnn(plan_of(in, shape, options, /*backward=*/false), pointers_of(in, result), in.q_MD);
  return result;
}

void cudnn_attention_backward(const at::Tensor& d_out_MD, const Packed& in, const Packed& d_in,
                              const AttentionResult& saved, const AttentionShape& shape,
                              const AttentionOptions& options) {
  cudnn::AttentionPointers pointers = pointers_of(in, saved);
  pointers.d_out = d_out_MD.const_data_ptr();
  pointers.d_q = d_in.q_MD.mutable_data_ptr();
  pointers.d_k = d_in.k_ND.mutable_data_ptr();
  pointers.d_v = d_in.v_ND.mutable_data_ptr();
  run_cudnn(plan_of(in, shape, options, /*backward=*/true), pointers, in.q_MD);
}

}  // namespace

void compile_attention_ahead(int64_t head_width, at::ScalarType dtype) {
  if (!cudnn_plans(dtype, head_width)) return;
  cudnn::AttentionPlan plan;
  plan.slots = 8;
  plan.longest_q = plan.longest_k = 1024;
  plan.tokens_q = kFewestPlannedTokens;
  plan.heads = 8;
  plan.head_width = head_width;
  plan.q_stride = plan.k_stride = 3 * plan.heads * head_width;
  plan.half = dtype == at::kHalf;
  cudnn::plan_ahead(plan);
}

AttentionResult attention(const Packed& in, const AttentionShape& shape, const AttentionOptions& options) {
  if (cudnn_serves(in, shape, options)) return cudnn_attention(in, shape, options);
  const at::Tensor q = heads_of(in.q_MD, options.heads), k = heads_of(in.k_ND, options.heads),
                   v = heads_of(in.v_ND, options.heads);
  const double p = options.dropout.probability;
  AttentionResult result;
  if (is_fp32(in.q_MD)) {
    auto [out, log_sum, seed, offset, max_q, max_k] = at::_efficient_attention_forward(
        q.unsqueeze(0), k.unsqueeze(0), v.unsqueeze(0), /*bias=*/{}, shape.q_offsets_B1, shape.k_offsets_B1,
        std::min(shape.longest_q, q.size(0)), std::min(shape.longest_k, k.size(0)), p, mask_of(options),
        /*compute_log_sumexp=*/true, options.scale);
    result = {out.squeeze(0).flatten(1), log_sum, seed, offset, {}};
  } else {
    auto [out, log_sum, state, unused, debug] = at::_flash_attention_forward(
        q, k, v, shape.q_offsets_B1, shape.k_offsets_B1, shape.longest_q, shape.longest_k, p, options.causal,
        /*return_debug_mask=*/false, options.scale, /*window_size_left=*/std::nullopt,
        /*window_size_right=*/std::nullopt);
    result = {out.flatten(1), log_sum, state, unused, {}};
  }
  return result;
}

void attention_backward(const at::Tensor& d_out_MD, const Packed& in, const Packed& d_in, const AttentionResult& saved,
                        const AttentionShape& shape, const AttentionOptions& options) {
  if (saved.cudnn_indices.defined()) {
    cudnn_attention_backward(d_out_MD, in, d_in, saved, shape, options);
    return;
  }
  const at::Tensor q = heads_of(in.q_MD, options.heads), k = heads_of(in.k_ND, options.heads),
                   v = heads_of(in.v_ND, options.heads), d_out = heads_of(d_out_MD, options.heads),
                   out = heads_of(saved.out_MD, options.heads);
  const double p = options.dropout.probability;
  at::Tensor d_q, d_k, d_v, d_bias;
  if (is_fp32(in.q_MD)) {
    std::tie(d_q, d_k, d_v, d_bias) = at::_efficient_attention_backward(
        d_out.unsqueeze(0), q.unsqueeze(0), k.unsqueeze(0), v.unsqueeze(0), /*bias=*/{}, out.unsqueeze(0),
        shape.q_offsets_B1, shape.k_offsets_B1, std::min(shape.longest_q, q.size(0)),
        std::min(shape.longest_k, k.size(0)), saved.log_sum, p, saved.random_state, saved.random_offset,
        mask_of(options), /*bias_requires_grad=*/false, options.scale);
  } else {
    std::tie(d_q, d_k, d_v) = at::_flash_attention_backward(
        d_out, q, k, v, out, saved.log_sum, shape.q_offsets_B1, shape.k_offsets_B1, shape.longest_q, shape.longest_k, p,
        options.causal, saved.random_state, saved.random_offset, options.scale);
  }
  d_in.q_MD.copy_(d_q.reshape(in.q_MD.sizes()));
  d_in.k_ND.copy_(d_k.reshape(in.k_ND.sizes()));
  d_in.v_ND.copy_(d_v.reshape(in.v_ND.sizes()));
}

}  // namespace txtsum::ops::cuda
