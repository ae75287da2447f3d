#include <ATen/ATen.h>

#include <cstring>

#include "device_ops.h"
#include "txtsum/core/check.h"
#include "txtsum/ops/decode_attention.h"

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
  args.parts = (args.capacity + cuda::kCrossPart - 1) / cuda::kCrossPart;
  at::Tensor partials;
  if (args.parts > 1) {
    const int64_t found = args.head_width + 2;  // a sum of values, the largest score, the sum of weights
    partials = at::empty({q.size(0), heads.heads, args.parts, found}, q.options().dtype(at::kFloat));
    args.partials = partials.mutable_data_ptr<float>();
  }
  cuda::decode_cross(args, cuda::stream());
  return out;
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

#endif

}  // namespace txtsum::ops
