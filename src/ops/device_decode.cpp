#include <ATen/ATen.h>

#include <cstring>

#include "device_ops.h"
#include "txtsum/core/check.h"
#include "txtsum/ops/decode_attention.h"
#include "txtsum/ops/top_tokens.h"

#ifdef TXTSUM_WITH_CUDA
#include <algorithm>

#include "decode_kernels.h"
#include "device_args.h"
#endif

namespace txtsum::ops {

#ifdef TXTSUM_WITH_CUDA

at::Tensor decode_self_attention(const at::Tensor& qkv_RE, const at::Tensor& cache_PE, const DeviceRows& rows,
                                 const DecodeHeads& heads) {
  const int64_t width = qkv_RE.size(1) / 3;
  at::Tensor out = at::empty({qkv_RE.size(0), width}, qkv_RE.options());
  cuda::DecodeSelf args;
  args.type = cuda::type_of(qkv_RE);
  TXTSUM_CHECK(cuda::type_of(cache_PE) == args.type && cache_PE.size(1) == 2 * width);
  args.rows = qkv_RE.size(0);
  args.heads = heads.heads;
  args.head_width = width / heads.heads;
  args.capacity = rows.origins_RT.size(1);
  args.scale = static_cast<float>(heads.scale);
  args.qkv = qkv_RE.const_data_ptr();
  args.cache = cache_PE.mutable_data_ptr();
  if (heads.bias_HT.defined()) {
    TXTSUM_CHECK(heads.bias_HT.is_cuda() && heads.bias_HT.is_contiguous() && heads.bias_HT.size(0) == heads.heads &&
                     heads.bias_HT.size(1) == args.capacity,
                 "a bias for each position of the cache");
    args.bias = heads.bias_HT.const_data_ptr<float>();
  }
  args.origins = rows.origins_RT.const_data_ptr<int32_t>();
  args.lengths = rows.lengths_R.const_data_ptr<int32_t>();
  args.out = out.mutable_data_ptr();
  cuda::decode_self(args, cuda::stream());
  return out;
}

at::Tensor decode_cross_attention(const at::Tensor& q_RD, const at::Tensor& cache_PE, const at::Tensor& lengths_slots,
                                  const DecodeHeads& heads) {
  const at::Tensor q = q_RD.contiguous();
  at::Tensor out = at::empty_like(q);
  cuda::DecodeCross args;
  args.type = cuda::type_of(q);
  TXTSUM_CHECK(cuda::type_of(cache_PE) == args.type && cache_PE.size(1) == 2 * q.size(1));
  args.slots = lengths_slots.size(0);
  args.beams = q.size(0) / args.slots;
  args.heads = heads.heads;
  args.head_width = q.size(1) / heads.heads;
  args.capacity = cache_PE.size(0) / args.slots;
  args.scale = static_cast<float>(heads.scale);
  args.q = q.const_data_ptr();
  args.cache = cache_PE.const_data_ptr();
  args.lengths = lengths_slots.const_data_ptr<int32_t>();
  args.out = out.mutable_data_ptr();
  cuda::decode_cross(args, cuda::stream());
  return out;
}

namespace {

const at::TensorOptions kPinned = at::TensorOptions().pinned_memory(true);

/// Copies what `fill` writes into one pinned buffer of `count` numbers to the GPU, without waiting.
template <typename Fill>
at::Tensor upload(int64_t count, const at::Device& device, const Fill& fill) {
  const at::Tensor staging = at::empty({count}, kPinned.dtype(at::kInt));
  fill(staging.mutable_data_ptr<int32_t>());
  return staging.to(device, /*non_blocking=*/true);
}

int32_t* append(int32_t* place, const std::vector<int32_t>& values) {
  if (!values.empty()) std::memcpy(place, values.data(), values.size() * sizeof(int32_t));
  return place + values.size();
}

}  // namespace

TopTokens top_tokens(const at::Tensor& logits_RV, const std::vector<int32_t>& row_of,
                     const std::vector<TokenEdits>& edits, const TopTokensRequest& request) {
  TXTSUM_CHECK(row_of.size() == edits.size() && request.vocabulary <= logits_RV.size(1));
  const auto rows = static_cast<int64_t>(row_of.size());
  TopTokens result;
  result.count = request.count;
  if (rows == 0) return result;
  int64_t edit_count = 0;
  for (const TokenEdits& edit : edits) {
    edit_count += static_cast<int64_t>(edit.penalized.size() + edit.forbidden.size());
  }
  const at::Device device = logits_RV.device();
  // Rows, then the ends of their edits, then the edits.
  const at::Tensor numbers = upload(3 * rows + edit_count, device, [&](int32_t* place) {
    int32_t* ends = append(place, row_of);
    int32_t* edit = ends + 2 * rows;
    const int32_t* first = edit;
    for (const TokenEdits& row : edits) {
      edit = append(edit, row.penalized);
      *ends++ = static_cast<int32_t>(edit - first);
      edit = append(edit, row.forbidden);
      *ends++ = static_cast<int32_t>(edit - first);
    }
  });
  const at::Tensor saved = at::empty({std::max<int64_t>(edit_count, 1)}, numbers.options().dtype(at::kFloat));
  const int64_t chosen = rows * request.count;
  const at::Tensor found = at::empty({2 * chosen + rows}, numbers.options().dtype(at::kFloat));
  cuda::TopTokens args;
  args.type = cuda::type_of(logits_RV);
  args.rows = rows;
  args.vocabulary = request.vocabulary;
  args.stride = logits_RV.size(1);
  args.logits = logits_RV.mutable_data_ptr();
  args.row_of = numbers.const_data_ptr<int32_t>();
  args.count = static_cast<int32_t>(request.count);
  args.log_probabilities = request.log_probabilities;
  args.penalty = static_cast<float>(request.penalty);
  args.edit_ends = args.row_of + rows;
  args.edits = args.edit_ends + 2 * rows;
  args.saved = saved.mutable_data_ptr<float>();
  args.scores = found.mutable_data_ptr<float>();
  args.ids = reinterpret_cast<int32_t*>(args.scores + chosen);
  args.log_probability = args.scores + 2 * chosen;
  cuda::top_tokens(args, cuda::stream());
  const at::Tensor here = at::empty(found.sizes(), kPinned.dtype(at::kFloat));
  here.copy_(found, /*non_blocking=*/true);
  c10::cuda::getCurrentCUDAStream().synchronize();
  const float* scores = here.const_data_ptr<float>();
  const auto* ids = reinterpret_cast<const int32_t*>(scores + chosen);
  result.scores.assign(scores, scores + chosen);
  result.ids.assign(ids, ids + chosen);
  result.log_probability.assign(scores + 2 * chosen, scores + 2 * chosen + rows);
  return result;
}

#else

at::Tensor decode_self_attention(const at::Tensor&, const at::Tensor&, const DeviceRows&, const DecodeHeads&) {
  TXTSUM_CHECK(false, "a binary without code for GPUs");
  return {};
}

at::Tensor decode_cross_attention(const at::Tensor&, const at::Tensor&, const at::Tensor&, const DecodeHeads&) {
  TXTSUM_CHECK(false, "a binary without code for GPUs");
  return {};
}

TopTokens top_tokens(const at::Tensor&, const std::vector<int32_t>&, const std::vector<TokenEdits>&,
                     const TopTokensRequest&) {
  TXTSUM_CHECK(false, "a binary without code for GPUs");
  return {};
}

#endif

}  // namespace txtsum::ops
