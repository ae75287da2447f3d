#include "txtsum/ops/residual_stream.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>

#include "device_ops.h"
#include "dropout_rows.h"
#include "float_rows.h"
#include "graph.h"
#include "txtsum/core/check.h"

namespace txtsum::ops {
namespace {

bool norms(const NormRefs& refs) { return refs.scale.index >= 0; }
/// LayerNorm; without a shift the root of the mean square alone is divided out.
bool centred(const NormRefs& refs) { return refs.shift.index >= 0; }

struct StreamNode final : torch::autograd::Node {
  NormRefs refs;
  DropoutKey dropout;
  bool adds = false;  // x is there
  at::ScalarType x_type = at::kFloat;
  NormMoments saved;  // made here, not autograd variables

  torch::autograd::variable_list apply(torch::autograd::variable_list&& grads) override;
  void release_variables() override { saved = {}; }
};

struct Forward {
  at::Tensor stream_ND, normed_ND;
};

/// Fills `saved` where it is given. x may be undefined.
Forward forward_on_cpu(const at::Tensor& stream_in, const at::Tensor& x_in, const NormRefs& refs, const DropoutKey& key,
                       NormMoments* saved) {
  const at::Tensor stream = stream_in.contiguous(), x = x_in.defined() ? x_in.contiguous() : at::Tensor();
  const int64_t rows = stream.size(0), width = stream.size(1);
  const bool adds = x.defined(), normalizes = norms(refs);
  Forward result;
  result.stream_ND = adds ? at::empty_like(stream) : stream;
  if (normalizes) result.normed_ND = at::empty(stream.sizes(), refs.scale.value().options());
  if (saved != nullptr && normalizes) {
    saved->sum_ND = result.stream_ND;
    saved->mean_N = at::empty({rows}, at::kFloat);
    saved->inverse_N = at::empty({rows}, at::kFloat);
  }
  float* means = saved != nullptr && normalizes ? saved->mean_N.mutable_data_ptr<float>() : nullptr;
  float* inverses = saved != nullptr && normalizes ? saved->inverse_N.mutable_data_ptr<float>() : nullptr;
  const std::vector<float> none;
  const std::vector<float> scales = normalizes ? float_vector(refs.scale.value()) : none;
  const std::vector<float> shifts =
      normalizes && centred(refs) ? float_vector(refs.shift.value()) : std::vector<float>(static_cast<size_t>(width));
  const at::Tensor bias_D = adds ? values_of(refs.bias) : at::Tensor();
  const std::vector<float> biases = bias_D.defined() ? float_vector(bias_D) : none;
  const FloatRows stream_rows(stream), x_rows(adds ? x : stream), sum_rows(result.stream_ND);
  const FloatRows out_rows(normalizes ? result.normed_ND : stream);
  const DropoutRows mask(key);
  at::parallel_for(0, rows, 16, [&](int64_t begin, int64_t end) {
    std::vector<float> sum(static_cast<size_t>(width)), other(static_cast<size_t>(width));
    for (int64_t row = begin; row < end; ++row) {
      if (adds) {
        x_rows.copy(row, sum.data());
        if (!biases.empty()) add_row(sum.data(), biases.data(), width);
        if (mask.active()) drop_row(sum.data(), width, 0, mask.row(row));
        add_row(sum.data(), stream_rows.read(row, other.data()), width);
        sum_rows.write(row, sum.data());
      } else {
        stream_rows.copy(row, sum.data());
      }
      if (!normalizes) continue;
      float mean = 0.0f, inverse = 0.0f;
      row_moments(sum.data(), width, static_cast<float>(refs.epsilon), centred(refs), &mean, &inverse);
      if (means != nullptr) {
        means[row] = mean;
        inverses[row] = inverse;
      }
      norm_row(sum.data(), width, mean, inverse, scales.data(), shifts.data(), other.data());
      out_rows.write(row, other.data());
    }
  });
  return result;
}

Forward forward(const at::Tensor& stream_ND, const at::Tensor& x_ND, const NormRefs& refs, const DropoutKey& key,
                NormMoments* saved) {
  if constexpr (kWithCuda) {
    if (stream_ND.is_cuda()) {
      Forward result;
      const cuda::StreamVectors vectors{x_ND.defined() ? values_of(refs.bias) : at::Tensor(), values_of(refs.scale),
                                        values_of(refs.shift), refs.epsilon};
      std::tie(result.stream_ND, result.normed_ND) = cuda::stream_forward(stream_ND, x_ND, vectors, key, saved);
      return result;
    }
  }
  return forward_on_cpu(stream_ND, x_ND, refs, key, saved);
}

torch::autograd::variable_list StreamNode::apply(torch::autograd::variable_list&& grads) {
  const at::NoGradGuard no_grad;
  // With a sum first its own gradient comes first, then the norm's.
  const at::Tensor d_stream = adds ? grads[0] : at::Tensor(), d_out = grads[grads.size() - 1];
  const bool through_norm = norms(refs) && d_out.defined();
  if (!d_stream.defined() && !through_norm) return torch::autograd::variable_list(2);
  if constexpr (kWithCuda) {
    if ((d_stream.defined() ? d_stream : d_out).is_cuda()) {
      const cuda::StreamGradients d = cuda::stream_backward(
          {d_stream, through_norm ? d_out : at::Tensor(), values_of(refs.scale), centred(refs), adds, x_type}, saved,
          dropout, {gradient_of(refs.scale), gradient_of(refs.shift), adds ? gradient_of(refs.bias) : at::Tensor()});
      return {d.d_stream_ND, d.d_x_ND};
    }
  }
  const at::Tensor d_above = d_stream.defined() ? d_stream.contiguous() : at::Tensor();
  const at::Tensor d_normed = through_norm ? d_out.contiguous() : at::Tensor();
  const at::Tensor& any = d_above.defined() ? d_above : d_normed;
  const int64_t rows = any.size(0), width = any.size(1);
  at::Tensor d_sum = at::empty(any.sizes(), any.options().dtype(at::kFloat));
  at::Tensor d_x = adds ? at::empty(any.sizes(), any.options().dtype(x_type)) : at::Tensor();
  const std::vector<float> scales = through_norm ? float_vector(refs.scale.value()) : std::vector<float>();
  const FloatRows above_rows(any), out_rows(through_norm ? d_normed : any), d_sum_rows(d_sum);
  const FloatRows saved_rows(through_norm ? saved.sum_ND : any), d_x_rows(adds ? d_x : d_sum);
  const DropoutRows mask(dropout);
  const float* means = through_norm ? saved.mean_N.const_data_ptr<float>() : nullptr;
  const float* inverses = through_norm ? saved.inverse_N.const_data_ptr<float>() : nullptr;
  // One partial sum a chunk, added in order: the result depends on the number of threads alone.
  const int64_t chunks = std::max<int64_t>(1, std::min<int64_t>(at::get_num_threads(), rows));
  at::Tensor partial = at::zeros({chunks, 3, width}, at::kFloat);
  float* partials = partial.mutable_data_ptr<float>();
  const bool bias_trains = adds && trains(refs.bias);
  at::parallel_for(0, chunks, 1, [&](int64_t begin, int64_t end) {
    std::vector<float> a(static_cast<size_t>(width)), b(static_cast<size_t>(width)), d(static_cast<size_t>(width));
    for (int64_t chunk = begin; chunk < end; ++chunk) {
      float* d_scale = partials + chunk * 3 * width;
      for (int64_t row = rows * chunk / chunks; row < rows * (chunk + 1) / chunks; ++row) {
        if (through_norm) {
          norm_row_backward(out_rows.read(row, a.data()), saved_rows.read(row, b.data()), width, centred(refs),
                            means[row], inverses[row], scales.data(), d.data(), d_scale, d_scale + width);
          if (d_above.defined()) add_row(d.data(), above_rows.read(row, a.data()), width);
        } else {
          above_rows.copy(row, d.data());
        }
        d_sum_rows.write(row, d.data());
        if (!adds) continue;
        if (mask.active()) drop_row(d.data(), width, 0, mask.row(row));
        d_x_rows.write(row, d.data());
        if (bias_trains) add_row(d_scale + 2 * width, d.data(), width);
      }
    }
  });
  const at::Tensor total = partial.sum(0);
  if (through_norm && trains(refs.scale)) refs.scale.gradient().add_(total.select(0, 0));
  if (through_norm && trains(refs.shift)) refs.shift.gradient().add_(total.select(0, 1));
  if (bias_trains) refs.bias.gradient().add_(total.select(0, 2));
  return {d_sum, d_x};
}

/// The stream's next state and its norm; x and the norm are optional, but one of them is there.
Forward run(const at::Tensor& stream_ND, const at::Tensor& x_ND, const NormRefs& refs, const DropoutKey& dropout) {
  TXTSUM_CHECK(stream_ND.scalar_type() == at::kFloat, "a stream in fp32");
  std::shared_ptr<StreamNode> node;
  if (graph_needed({stream_ND, x_ND}, {refs.scale, refs.shift, refs.bias})) {
    node = make_node<StreamNode>({stream_ND, x_ND});
    node->refs = refs;
    node->dropout = dropout;
    node->adds = x_ND.defined();
    if (x_ND.defined()) node->x_type = x_ND.scalar_type();
  }
  Forward result;
  {
    const at::NoGradGuard no_grad;
    NormMoments moments;
    result =
        forward(stream_ND.detach(), x_ND.defined() ? x_ND.detach() : x_ND, refs, dropout, node ? &moments : nullptr);
    if (node && moments.sum_ND.defined()) {
      node->saved = moments;
      node->saved.sum_ND = moments.sum_ND.detach();
    }
  }
  if (node) {
    if (x_ND.defined()) torch::autograd::set_history(result.stream_ND, node);
    if (result.normed_ND.defined()) torch::autograd::set_history(result.normed_ND, node);
  }
  return result;
}

}  // namespace

StreamResult add_and_norm(const at::Tensor& stream_ND, const at::Tensor& x_ND, const NormRefs& refs,
                          const DropoutKey& dropout) {
  const Forward result = run(stream_ND, x_ND, refs, dropout);
  return {result.stream_ND, result.normed_ND};
}

at::Tensor add_to_stream(const at::Tensor& stream_ND, const at::Tensor& x_ND, const ParamRef& bias_D,
                         const DropoutKey& dropout) {
  NormRefs refs;
  refs.bias = bias_D;
  return run(stream_ND, x_ND, refs, dropout).stream_ND;
}

at::Tensor norm_of_stream(const at::Tensor& stream_ND, const NormRefs& refs) {
  return run(stream_ND, {}, refs, {}).normed_ND;
}

}  // namespace txtsum::ops
