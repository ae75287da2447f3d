#include "device_ops.h"

#include <ATen/ATen.h>
#include <c10/cuda/CUDAStream.h>

#include <cmath>

#include "device_kernels.h"
#include "dropout_rows.h"
#include "txtsum/core/check.h"
#include "update_kernels.h"

namespace txtsum::ops::cuda {
namespace {

cudaStream_t stream() { return c10::cuda::getCurrentCUDAStream().stream(); }

Type type_of(const at::Tensor& tensor) {
  TXTSUM_CHECK(tensor.is_cuda() && tensor.is_contiguous());
  TXTSUM_CHECK(tensor.scalar_type() == at::kFloat || tensor.scalar_type() == at::kBFloat16, "fp32 or bf16");
  return tensor.scalar_type() == at::kFloat ? Type::kFloat : Type::kBFloat16;
}

Dropout dropout_of(const DropoutKey& key) {
  Dropout dropout;
  if (!key.active()) return dropout;
  const DropoutRow row = common_row(key);
  dropout.key0 = row.key0;
  dropout.key1 = row.key1;
  dropout.site = row.site;
  dropout.threshold = row.threshold;
  dropout.keep_factor = row.keep_factor;
  TXTSUM_CHECK(key.examples_N.is_cuda() && key.positions_N.is_cuda());
  dropout.examples = key.examples_N.const_data_ptr<int64_t>();
  dropout.positions = key.positions_N.const_data_ptr<int64_t>();
  return dropout;
}

Function function_of(Activation kind) { return static_cast<Function>(static_cast<int>(kind)); }

at::Tensor on_device(const std::vector<UpdateSpan>& spans, const at::Device& device) {
  std::vector<Span> rows;
  for (const UpdateSpan& span : spans) rows.push_back({span.begin, span.end, span.decay, span.frozen});
  const auto bytes = static_cast<int64_t>(rows.size() * sizeof(Span));
  return at::from_blob(rows.data(), {bytes}, at::kByte).to(device);
}

void check_spans(const std::vector<UpdateSpan>& spans, const at::Tensor& arena) {
  int64_t end = 0;
  for (const UpdateSpan& span : spans) {
    TXTSUM_CHECK(span.begin == end, "spans with a hole before ", span.begin);
    end = span.end;
  }
  TXTSUM_CHECK(arena.numel() >= end, "spans end at ", end);
}

}  // namespace

at::Tensor dropout(const at::Tensor& x_ND, const DropoutKey& key) {
  const at::Tensor x = x_ND.contiguous();
  at::Tensor out = at::empty_like(x);
  drop_rows(type_of(x), x.const_data_ptr(), out.mutable_data_ptr(), x.size(0), x.size(1), dropout_of(key), stream());
  return out;
}

at::Tensor activation(const at::Tensor& x_NF, Activation kind, const DropoutKey& key) {
  const at::Tensor x = x_NF.contiguous();
  at::Tensor out = at::empty_like(x);
  activate(type_of(x), function_of(kind), x.const_data_ptr(), out.mutable_data_ptr(), x.size(0), x.size(1),
           dropout_of(key), stream());
  return out;
}

at::Tensor activation_backward(const at::Tensor& d_out_NF, const at::Tensor& x_NF, Activation kind,
                               const DropoutKey& key) {
  const at::Tensor d_out = d_out_NF.contiguous(), x = x_NF.contiguous();
  at::Tensor d_x = at::empty_like(x);
  activate_backward(type_of(x), function_of(kind), d_out.const_data_ptr(), x.const_data_ptr(), d_x.mutable_data_ptr(),
                    x.size(0), x.size(1), dropout_of(key), stream());
  return d_x;
}

at::Tensor embed(const at::Tensor& table_VD, const at::Tensor& positions_PD, const at::Tensor& ids_N,
                 const at::Tensor& places_N, double scale, int64_t offset) {
  at::Tensor out = at::empty({ids_N.size(0), table_VD.size(1)}, table_VD.options());
  Embed args;
  args.type = type_of(table_VD);
  TXTSUM_CHECK(type_of(positions_PD) == args.type);
  args.rows = out.size(0);
  args.width = out.size(1);
  args.offset = offset;
  args.scale = static_cast<float>(scale);
  args.table = table_VD.const_data_ptr();
  args.positions = positions_PD.const_data_ptr();
  args.ids = ids_N.const_data_ptr<int64_t>();
  args.places = places_N.const_data_ptr<int64_t>();
  args.out = out.mutable_data_ptr();
  embed_rows(args, stream());
  return out;
}

void scatter_rows(const at::Tensor& gradient_VD, const at::Tensor& row_numbers_N, const at::Tensor& d_out_ND,
                  double factor) {
  const at::Tensor d_out = d_out_ND.contiguous();
  const auto [ids, order] = at::sort(row_numbers_N, /*stable=*/true, /*dim=*/0, /*descending=*/false);
  AddRows args;
  args.gradient_type = type_of(gradient_VD);
  args.type = type_of(d_out);
  args.rows = d_out.size(0);
  args.width = d_out.size(1);
  args.factor = static_cast<float>(factor);
  args.ids = ids.const_data_ptr<int64_t>();
  args.order = order.const_data_ptr<int64_t>();
  args.d_out = d_out.const_data_ptr();
  args.gradient = gradient_VD.mutable_data_ptr();
  add_rows(args, stream());
}

at::Tensor norm(const at::Tensor& x_ND, const at::Tensor& residual_ND, const at::Tensor& scale_D,
                const at::Tensor& shift_D, double epsilon, const DropoutKey& key, NormMoments* saved) {
  const at::Tensor x = x_ND.contiguous();
  const at::Tensor residual = residual_ND.defined() ? residual_ND.contiguous() : at::Tensor();
  at::Tensor out = at::empty_like(x);
  NormForward args;
  args.type = type_of(x);
  args.rows = x.size(0);
  args.width = x.size(1);
  args.epsilon = static_cast<float>(epsilon);
  args.x = x.const_data_ptr();
  args.residual = residual.defined() ? residual.const_data_ptr() : nullptr;
  args.scale = scale_D.const_data_ptr();
  args.shift = shift_D.const_data_ptr();
  args.out = out.mutable_data_ptr();
  args.dropout = dropout_of(key);
  if (saved != nullptr) {
    const bool sum_is_x = !residual.defined() && !key.active();
    saved->sum_ND = sum_is_x ? x : at::empty_like(x);
    saved->mean_N = at::empty({x.size(0)}, x.options().dtype(at::kFloat));
    saved->inverse_N = at::empty_like(saved->mean_N);
    args.sum = sum_is_x ? nullptr : saved->sum_ND.mutable_data_ptr();
    args.mean = saved->mean_N.mutable_data_ptr<float>();
    args.inverse = saved->inverse_N.mutable_data_ptr<float>();
  }
  norm_forward(args, stream());
  return out;
}

NormGradients norm_backward(const at::Tensor& d_out_ND, const NormMoments& saved, const at::Tensor& scale_D,
                            const DropoutKey& key) {
  const at::Tensor d_out = d_out_ND.contiguous();
  NormGradients result;
  result.d_sum_ND = at::empty_like(d_out);
  result.d_x_ND = key.active() ? at::empty_like(d_out) : result.d_sum_ND;
  NormBackward args;
  args.type = type_of(d_out);
  args.rows = d_out.size(0);
  args.width = d_out.size(1);
  args.d_out = d_out.const_data_ptr();
  args.sum = saved.sum_ND.const_data_ptr();
  args.scale = scale_D.const_data_ptr();
  args.mean = saved.mean_N.const_data_ptr<float>();
  args.inverse = saved.inverse_N.const_data_ptr<float>();
  args.d_sum = result.d_sum_ND.mutable_data_ptr();
  args.d_x = key.active() ? result.d_x_ND.mutable_data_ptr() : nullptr;
  args.dropout = dropout_of(key);
  at::Tensor partials = at::empty({norm_backward_blocks(args.rows), 2, args.width}, d_out.options().dtype(at::kFloat));
  args.partials = partials.mutable_data_ptr<float>();
  ops::cuda::norm_backward(args, stream());
  const at::Tensor total = partials.sum(0);
  result.d_scale_D = total.select(0, 0);
  result.d_shift_D = total.select(0, 1);
  return result;
}

RowLosses cross_entropy(const at::Tensor& logits_MV, const at::Tensor& bias_V, const at::Tensor& labels_M,
                        int64_t vocabulary, double smoothing, bool with_gradient) {
  RowLosses losses;
  losses.loss_M = at::empty({logits_MV.size(0)}, logits_MV.options().dtype(at::kFloat));
  losses.nll_M = at::empty_like(losses.loss_M);
  CrossEntropyRows args;
  args.type = type_of(logits_MV);
  args.rows = logits_MV.size(0);
  args.vocabulary = vocabulary;
  args.stride = logits_MV.size(1);
  TXTSUM_CHECK(args.stride % 8 == 0 && vocabulary <= args.stride, args.stride);
  args.logits = logits_MV.mutable_data_ptr();
  args.bias = bias_V.defined() ? bias_V.const_data_ptr<float>() : nullptr;
  args.labels = labels_M.const_data_ptr<int64_t>();
  args.smoothing = static_cast<float>(smoothing);
  args.with_gradient = with_gradient;
  args.loss = losses.loss_M.mutable_data_ptr<float>();
  args.nll = losses.nll_M.mutable_data_ptr<float>();
  cross_entropy_rows(args, stream());
  return losses;
}

void adamw_update(const AdamWTensors& tensors, const std::vector<UpdateSpan>& spans, const AdamWScalars& scalars) {
  check_spans(spans, tensors.masters);
  const at::Tensor table = on_device(spans, tensors.masters.device());
  AdamW args;
  args.masters = tensors.masters.mutable_data_ptr<float>();
  args.first = tensors.first_moment.mutable_data_ptr<float>();
  args.second = tensors.second_moment.mutable_data_ptr<float>();
  args.gradients = tensors.gradients.const_data_ptr();
  args.gradient_type = type_of(tensors.gradients);
  args.working = tensors.working.defined() ? tensors.working.mutable_data_ptr() : nullptr;
  args.spans = static_cast<const Span*>(table.const_data_ptr());
  args.span_count = static_cast<int32_t>(spans.size());
  args.numel = spans.back().end;
  const AdamWFactors factors = adamw_factors(scalars, /*decay=*/true);
  args.numbers = {factors.gradient_factor, factors.decay_factor, factors.one_minus_beta1, factors.beta2,
                  factors.one_minus_beta2, factors.step_size,    factors.inverse_root,    factors.epsilon};
  adamw(args, stream());
}

double gradient_norm(const at::Tensor& gradients, const std::vector<UpdateSpan>& spans) {
  check_spans(spans, gradients);
  const int64_t numel = spans.back().end, chunk = square_sum_chunk();
  const at::Tensor table = on_device(spans, gradients.device());
  at::Tensor sums = at::empty({(numel + chunk - 1) / chunk}, gradients.options().dtype(at::kDouble));
  square_sums(type_of(gradients), gradients.const_data_ptr(), numel, static_cast<const Span*>(table.const_data_ptr()),
              static_cast<int32_t>(spans.size()), sums.mutable_data_ptr<double>(), stream());
  return std::sqrt(sums.sum().item<double>());
}

}  // namespace txtsum::ops::cuda
