#include "device_ops.h"

#include <ATen/ATen.h>

#include "device_args.h"
#include "dropout_rows.h"
#include "gate_kernels.h"
#include "txtsum/core/check.h"

namespace txtsum::ops::cuda {
namespace {

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
  if (key.words_2.defined()) {
    TXTSUM_CHECK(key.words_2.is_cuda() && key.words_2.numel() == 2);
    dropout.keys = reinterpret_cast<const uint32_t*>(key.words_2.const_data_ptr<int32_t>());
  }
  return dropout;
}

Function function_of(Activation kind) { return static_cast<Function>(static_cast<int>(kind)); }

const void* pointer_of(const at::Tensor& tensor) { return tensor.defined() ? tensor.const_data_ptr() : nullptr; }

Activate activate_args(const at::Tensor& x, const at::Tensor& bias_F, const at::Tensor& out, Activation kind,
                       const DropoutKey& key) {
  Activate args;
  args.type = type_of(x);
  args.function = function_of(kind);
  args.rows = x.size(0);
  args.width = x.size(1);
  args.x = x.const_data_ptr();
  args.bias = pointer_of(bias_F);
  args.out = out.mutable_data_ptr();
  args.dropout = dropout_of(key);
  return args;
}

/// Adds the sums over the blocks of `partials` ([blocks, vectors, width]) to one gradient a vector.
void add_sums(const at::Tensor& partials, const std::vector<at::Tensor>& gradients) {
  AddPartials args;
  args.partials = partials.const_data_ptr<float>();
  args.blocks = partials.size(0);
  args.vectors = static_cast<int32_t>(partials.size(1));
  args.width = partials.size(2);
  bool wanted = false;
  for (size_t i = 0; i < gradients.size(); ++i) {
    if (!gradients[i].defined()) continue;
    args.gradients[i] = gradients[i].mutable_data_ptr();
    args.gradient_type = type_of(gradients[i]);
    wanted = true;
  }
  if (wanted) add_partials(args, stream());
}

}  // namespace

at::Tensor dropout(const at::Tensor& x_ND, const DropoutKey& key) {
  const at::Tensor x = x_ND.contiguous();
  at::Tensor out = at::empty_like(x);
  drop_rows(type_of(x), x.const_data_ptr(), out.mutable_data_ptr(), x.size(0), x.size(1), dropout_of(key), stream());
  return out;
}

at::Tensor activation(const at::Tensor& x_NF, const at::Tensor& bias_F, Activation kind, const DropoutKey& key) {
  const at::Tensor x = x_NF.contiguous();
  at::Tensor out = at::empty_like(x);
  activate(activate_args(x, bias_F, out, kind, key), stream());
  return out;
}

at::Tensor activation_backward(const at::Tensor& d_out_NF, const ActivationInputs& inputs,
                               const at::Tensor& bias_gradient_F, const at::Tensor& activated_NF, bool in_place) {
  const at::Tensor d_out = d_out_NF.contiguous(), x = inputs.x_NF.contiguous();
  at::Tensor d_x = in_place ? d_out : at::empty_like(x);
  ActivateBackward args;
  args.forward = activate_args(x, inputs.bias_F, d_x, inputs.kind, inputs.key);
  args.d_out = d_out.const_data_ptr();
  if (activated_NF.defined()) args.activated = activated_NF.mutable_data_ptr();
  at::Tensor partials;
  if (bias_gradient_F.defined()) {
    partials = at::empty({column_blocks(x.size(0)), 1, x.size(1)}, x.options().dtype(at::kFloat));
    args.partials = partials.mutable_data_ptr<float>();
  }
  activate_backward(args, stream());
  if (bias_gradient_F.defined()) add_sums(partials, {bias_gradient_F});
  return d_x;
}

namespace {

Gate gate_args(const at::Tensor& x, const at::Tensor& gated, Activation kind, const DropoutKey& key) {
  Gate args;
  args.type = type_of(x);
  args.function = function_of(kind);
  args.rows = x.size(0);
  args.width = x.size(1) / 2;
  args.x = x.const_data_ptr();
  args.gated = gated.mutable_data_ptr();
  args.dropout = dropout_of(key);
  return args;
}

}  // namespace

at::Tensor gate(const at::Tensor& x_NE, Activation kind, const DropoutKey& key) {
  const at::Tensor x = x_NE.contiguous();
  at::Tensor gated = at::empty({x.size(0), x.size(1) / 2}, x.options());
  gate(gate_args(x, gated, kind, key), stream());
  return gated;
}

std::pair<at::Tensor, at::Tensor> gate_backward(const at::Tensor& d_gated_NF, const at::Tensor& x_NE, Activation kind,
                                                const DropoutKey& key) {
  const at::Tensor d_gated = d_gated_NF.contiguous(), x = x_NE.contiguous();
  at::Tensor d_x = at::empty_like(x), gated = at::empty_like(d_gated);
  gate_backward({gate_args(x, gated, kind, key), d_gated.const_data_ptr(), d_x.mutable_data_ptr()}, stream());
  return {d_x, gated};
}

void add_column_sums(const at::Tensor& gradient_C, const at::Tensor& x_NC) {
  const at::Tensor x = x_NC.contiguous();
  at::Tensor partials = at::empty({column_blocks(x.size(0)), 1, x.size(1)}, x.options().dtype(at::kFloat));
  column_sums(type_of(x), x.const_data_ptr(), x.size(0), x.size(1), partials.mutable_data_ptr<float>(), stream());
  add_sums(partials, {gradient_C});
}

void scatter_rows(const at::Tensor& gradient_VD, const at::Tensor& row_numbers_N, const at::Tensor& d_out_ND,
                  double factor) {
  const at::Tensor d_out = d_out_ND.contiguous();
  const auto [ids, order] = at::sort(row_numbers_N.to(at::kInt), /*stable=*/true, /*dim=*/0, /*descending=*/false);
  AddRows args;
  args.gradient_type = type_of(gradient_VD);
  args.type = type_of(d_out);
  args.rows = d_out.size(0);
  args.width = d_out.size(1);
  args.factor = static_cast<float>(factor);
  args.ids = ids.const_data_ptr<int32_t>();
  args.order = order.const_data_ptr<int64_t>();
  args.d_out = d_out.const_data_ptr();
  args.gradient = gradient_VD.mutable_data_ptr();
  add_rows(args, stream());
}

void add_position_rows(const at::Tensor& gradient_PD, const RaggedTokens& tokens, const at::Tensor& d_out_ND,
                       int64_t offset) {
  const at::Tensor d_out = d_out_ND.contiguous();
  AddPositionRows args;
  args.gradient_type = type_of(gradient_PD);
  args.type = type_of(d_out);
  args.longest = tokens.longest;
  args.sequences = tokens.sequences();
  args.width = d_out.size(1);
  args.offset = offset;
  args.offsets = tokens.offsets_B1.const_data_ptr<int32_t>();
  args.d_out = d_out.const_data_ptr();
  args.gradient = gradient_PD.mutable_data_ptr();
  TXTSUM_CHECK(tokens.offsets_B1.is_cuda() && tokens.longest + offset <= gradient_PD.size(0), tokens.longest);
  ops::cuda::add_position_rows(args, stream());
}

namespace {

/// Has a norm's kernel write what its backward pass reads.
void save_moments(NormForward& args, NormMoments& saved, const at::TensorOptions& options) {
  saved.mean_N = at::empty({args.rows}, options.dtype(at::kFloat));
  saved.inverse_N = at::empty_like(saved.mean_N);
  args.mean = saved.mean_N.mutable_data_ptr<float>();
  args.inverse = saved.inverse_N.mutable_data_ptr<float>();
}

}  // namespace

at::Tensor embed(const EmbedTables& tables, const RaggedTokens& tokens, const EmbedOptions& options,
                 const DropoutKey& key, NormMoments* saved) {
  const bool norms = tables.scale_D.defined();
  at::Tensor out = at::empty({tokens.ids_N.size(0), tables.table_VD.size(1)}, tables.table_VD.options());
  NormForward args;
  args.type = type_of(tables.table_VD);
  TXTSUM_CHECK(!tables.positions_PD.defined() || type_of(tables.positions_PD) == args.type);
  args.rows = out.size(0);
  args.width = out.size(1);
  args.epsilon = static_cast<float>(tables.epsilon);
  args.x = tables.table_VD.const_data_ptr();
  args.residual = pointer_of(tables.positions_PD);
  args.tables = {tokens.ids_N.const_data_ptr<int64_t>(), tokens.positions_N.const_data_ptr<int64_t>(), options.offset,
                 static_cast<float>(options.scale)};
  args.scale = pointer_of(tables.scale_D);
  args.shift = pointer_of(tables.shift_D);
  args.last_dropout = dropout_of(key);
  (norms ? args.out : args.sum) = out.mutable_data_ptr();
  if (saved != nullptr && norms) {
    saved->sum_ND = at::empty_like(out);
    args.sum = saved->sum_ND.mutable_data_ptr();
    save_moments(args, *saved, out.options());
  }
  norm_forward(args, stream());
  return out;
}

at::Tensor norm(const at::Tensor& x_ND, const NormParameters& parameters, const DropoutKey& key, NormMoments* saved) {
  const at::Tensor x = x_ND.contiguous();
  const at::Tensor residual = parameters.residual_ND.defined() ? parameters.residual_ND.contiguous() : at::Tensor();
  at::Tensor out = at::empty_like(x);
  NormForward args;
  args.type = type_of(x);
  args.rows = x.size(0);
  args.width = x.size(1);
  args.epsilon = static_cast<float>(parameters.epsilon);
  args.x = x.const_data_ptr();
  args.bias = pointer_of(parameters.bias_D);
  args.residual = pointer_of(residual);
  args.scale = parameters.scale_D.const_data_ptr();
  args.shift = parameters.shift_D.const_data_ptr();
  args.out = out.mutable_data_ptr();
  args.dropout = dropout_of(key);
  if (saved != nullptr) {
    const bool sum_is_x = !residual.defined() && !key.active() && !parameters.bias_D.defined();
    saved->sum_ND = sum_is_x ? x : at::empty_like(x);
    args.sum = sum_is_x ? nullptr : saved->sum_ND.mutable_data_ptr();
    save_moments(args, *saved, x.options());
  }
  norm_forward(args, stream());
  return out;
}

NormGradients norm_backward(const at::Tensor& d_out_ND, const NormMoments& saved, const at::Tensor& scale_D,
                            const DropoutKey& key, const NormVectors& gradients) {
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
  at::Tensor partials = at::empty({norm_backward_blocks(args.rows), 3, args.width}, d_out.options().dtype(at::kFloat));
  args.partials = partials.mutable_data_ptr<float>();
  ops::cuda::norm_backward(args, stream());
  add_sums(partials, {gradients.scale_D, gradients.shift_D, gradients.bias_D});
  return result;
}

std::pair<at::Tensor, at::Tensor> stream_forward(const at::Tensor& stream_ND, const at::Tensor& x_ND,
                                                 const StreamVectors& vectors, const DropoutKey& key,
                                                 NormMoments* saved) {
  const at::Tensor in = stream_ND.contiguous(), x = x_ND.defined() ? x_ND.contiguous() : at::Tensor();
  const at::Tensor stream_out = x.defined() ? at::empty_like(in) : in;
  const bool normalizes = vectors.scale_D.defined();
  const at::Tensor normed = normalizes ? at::empty(in.sizes(), vectors.scale_D.options()) : at::Tensor();
  NormForward args;
  args.type = type_of(x.defined() ? x : normed);
  args.wide = true;
  args.rows = in.size(0);
  args.width = in.size(1);
  args.epsilon = static_cast<float>(vectors.epsilon);
  args.x = pointer_of(x);
  args.bias = pointer_of(vectors.bias_D);
  args.residual = in.const_data_ptr();
  args.scale = pointer_of(vectors.scale_D);
  args.shift = pointer_of(vectors.shift_D);
  args.out = normalizes ? normed.mutable_data_ptr() : nullptr;
  args.sum = x.defined() ? stream_out.mutable_data_ptr() : nullptr;
  args.dropout = dropout_of(key);
  if (saved != nullptr && normalizes) {
    saved->sum_ND = stream_out;
    save_moments(args, *saved, in.options());
  }
  norm_forward(args, ops::cuda::stream());
  return {stream_out, normed};
}

StreamGradients stream_backward(const StreamInputs& inputs, const NormMoments& saved, const DropoutKey& key,
                                const NormVectors& gradients) {
  const auto contiguous = [](const at::Tensor& tensor) { return tensor.defined() ? tensor.contiguous() : tensor; };
  const at::Tensor d_stream = contiguous(inputs.d_stream_ND), d_out = contiguous(inputs.d_out_ND);
  const at::Tensor& any = d_stream.defined() ? d_stream : d_out;
  StreamGradients result;
  result.d_stream_ND = at::empty(any.sizes(), any.options().dtype(at::kFloat));
  if (inputs.adds) result.d_x_ND = at::empty(any.sizes(), any.options().dtype(inputs.x_type));
  NormBackward args;
  args.type = type_of(inputs.adds ? result.d_x_ND : d_out);
  args.wide = true;
  args.rows = any.size(0);
  args.width = any.size(1);
  args.d_stream = pointer_of(d_stream);
  if (d_out.defined()) {
    args.d_out = d_out.const_data_ptr();
    args.sum = saved.sum_ND.const_data_ptr();
    args.scale = inputs.scale_D.const_data_ptr();
    args.centred = inputs.centred;
    args.mean = saved.mean_N.const_data_ptr<float>();
    args.inverse = saved.inverse_N.const_data_ptr<float>();
  }
  args.d_sum = result.d_stream_ND.mutable_data_ptr();
  args.d_x = inputs.adds ? result.d_x_ND.mutable_data_ptr() : nullptr;
  args.dropout = dropout_of(key);
  at::Tensor partials = at::empty({norm_backward_blocks(args.rows), 3, args.width}, any.options().dtype(at::kFloat));
  args.partials = partials.mutable_data_ptr<float>();
  ops::cuda::norm_backward(args, ops::cuda::stream());
  add_sums(partials, d_out.defined() ? std::vector<at::Tensor>{gradients.scale_D, gradients.shift_D, gradients.bias_D}
                                     : std::vector<at::Tensor>{{}, {}, gradients.bias_D});
  return result;
}

RowLosses cross_entropy(const at::Tensor& logits_MV, const at::Tensor& bias_V, const at::Tensor& labels_M,
                        const CrossEntropyOptions& options, bool with_gradient) {
  RowLosses losses;
  losses.loss_M = at::empty({logits_MV.size(0)}, logits_MV.options().dtype(at::kFloat));
  losses.nll_M = at::empty_like(losses.loss_M);
  CrossEntropyRows args;
  args.type = type_of(logits_MV);
  args.rows = logits_MV.size(0);
  args.vocabulary = options.vocabulary;
  args.stride = logits_MV.size(1);
  TXTSUM_CHECK(args.stride % 8 == 0 && options.vocabulary <= args.stride, args.stride);
  args.logits = logits_MV.mutable_data_ptr();
  args.bias = bias_V.defined() ? bias_V.const_data_ptr<float>() : nullptr;
  args.labels = labels_M.const_data_ptr<int64_t>();
  args.smoothing = static_cast<float>(options.smoothing);
  args.with_gradient = with_gradient;
  if (options.gradient_factor_1.defined()) args.gradient_factor = options.gradient_factor_1.const_data_ptr<float>();
  args.loss = losses.loss_M.mutable_data_ptr<float>();
  args.nll = losses.nll_M.mutable_data_ptr<float>();
  cross_entropy_rows(args, stream());
  return losses;
}

}  // namespace txtsum::ops::cuda
