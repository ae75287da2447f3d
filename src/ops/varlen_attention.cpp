#include "txtsum/ops/varlen_attention.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "device_attention.h"
#include "device_ops.h"
#include "dropout_rows.h"
#include "graph.h"
#include "tiled_self_attention.h"
#include "txtsum/core/check.h"
#include "txtsum/ops/device.h"
#include "txtsum/ops/dropout.h"
#include "txtsum/ops/gpu_generation.h"
#include "txtsum/ops/tile_attention.h"

namespace txtsum::ops {
namespace {

using cuda::Packed;

struct Ragged {
  std::vector<int64_t> q_offsets, k_offsets;
  int64_t longest_k = 0;
  at::Tensor biases_HE;  // see biases_of

  int64_t sequences() const { return static_cast<int64_t>(q_offsets.size()) - 1; }
};

Ragged make_ragged(const RaggedTokens& queries, const RaggedTokens& keys) {
  TXTSUM_CHECK(queries.offsets.size() == keys.offsets.size());
  return {queries.offsets, keys.offsets, keys.longest, {}};
}

cuda::AttentionShape device_shape(const RaggedTokens& queries, const RaggedTokens& keys) {
  return {queries.offsets_B1, keys.offsets_B1, queries.longest, keys.longest, queries.recurs && keys.recurs};
}

/// Rows begin to end of [N, D] as [1, H, length, K] without a copy.
at::Tensor heads_view(const at::Tensor& rows_ND, const std::vector<int64_t>& offsets, int64_t b, int64_t heads) {
  const int64_t length = offsets[static_cast<size_t>(b) + 1] - offsets[static_cast<size_t>(b)];
  const at::Tensor rows = rows_ND.narrow(0, offsets[static_cast<size_t>(b)], length);
  return rows.view({length, heads, rows_ND.size(1) / heads}).transpose(0, 1).unsqueeze(0);
}

/// Factors of the probabilities of sequence b, [1, H, queries, keys].
at::Tensor probability_mask(const AttentionOptions& options, const Ragged& ragged, int64_t b, int64_t queries,
                            int64_t keys) {
  // The first channel of a head is a multiple of 8, as the GPU's row kernels want it.
  const int64_t stride = (ragged.longest_k + 7) / 8 * 8;
  if (!options.dropout.examples_N.is_cpu()) {
    DropoutKey key = options.dropout;
    const int64_t first = ragged.q_offsets[static_cast<size_t>(b)];
    key.examples_N = key.examples_N.narrow(0, first, queries);
    key.positions_N = key.positions_N.narrow(0, first, queries);
    const at::Tensor ones = at::ones({queries, options.heads * stride}, key.examples_N.options().dtype(at::kFloat));
    return dropout(ones, key).view({1, queries, options.heads, stride}).transpose(1, 2).narrow(3, 0, keys);
  }
  const DropoutRows rows(options.dropout);
  at::Tensor mask = at::ones({1, options.heads, queries, keys}, at::kFloat);
  float* values = mask.mutable_data_ptr<float>();
  for (int64_t head = 0; head < options.heads; ++head) {
    for (int64_t query = 0; query < queries; ++query) {
      drop_row(values + (head * queries + query) * keys, keys, head * stride,
               rows.row(ragged.q_offsets[static_cast<size_t>(b)] + query));
    }
  }
  return mask;
}

/// Biases of all distances in a batch of self-attention, [H, 2 longest - 1]; undefined where there are none.
at::Tensor biases_of(const AttentionOptions& options, int64_t longest) {
  if (!options.bias.present() || longest == 0) return {};
  return bias_of_distances(options.bias, 1 - longest, 2 * longest - 1);
}

/// The stretch of biases_of's result that `length` tokens use, of distances 1 - length to length - 1.
at::Tensor for_length(const at::Tensor& biases_HE, int64_t length) {
  return biases_HE.narrow(1, biases_HE.size(1) / 2 + 1 - length, 2 * length - 1);
}

/// sums[h, e] = sum of d[h, q, k] over all k - q = e + 1 - length; d: [H, length, length].
at::Tensor sums_by_distance(const at::Tensor& d) {
  const int64_t heads = d.size(0), length = d.size(1);
  // Rows from the last query on, each one column longer than the sums: read in rows as long as the sums, every row
  // starts a column later.
  const at::Tensor longer = at::constant_pad_nd(d.flip(1), {0, length}).view({heads, 2 * length * length});
  return longer.narrow(1, 0, (2 * length - 1) * length).view({heads, length, 2 * length - 1}).sum(1);
}

/// Softmax probabilities of one sequence in fp32, [1, H, queries, keys].
at::Tensor probabilities(const at::Tensor& q, const at::Tensor& k, const AttentionOptions& options,
                         const at::Tensor& biases_HE) {
  at::Tensor scores = at::matmul(q, k.transpose(-2, -1)).to(at::kFloat).mul_(options.scale);
  // Window i of the biases is that of query length - 1 - i.
  if (biases_HE.defined()) scores.add_(for_length(biases_HE, k.size(2)).unfold(1, k.size(2), 1).flip(1));
  if (options.causal) {
    const at::Tensor hidden = at::ones({q.size(2), k.size(2)}, q.options().dtype(at::kBool)).triu_(1);
    scores.masked_fill_(hidden, -std::numeric_limits<float>::infinity());
  }
  return at::softmax(scores, -1);
}

/// Whether ATen's kernel for the CPU computes it.
bool fused_on_host(const at::Tensor& q, const AttentionOptions& options) {
  return q.is_cpu() && !options.dropout.active() && !options.bias.present();
}

struct SequenceResult {
  at::Tensor out, log_sum;
};

SequenceResult sequence_forward(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                const AttentionOptions& options, const Ragged& ragged, int64_t b) {
  if (fused_on_host(q, options)) {
    auto [out, log_sum] =
        at::_scaled_dot_product_flash_attention_for_cpu(q, k, v, 0.0, options.causal, {}, options.scale);
    return {out, log_sum};
  }
  at::Tensor p = probabilities(q, k, options, ragged.biases_HE);
  if (options.dropout.active()) p.mul_(probability_mask(options, ragged, b, q.size(2), k.size(2)));
  return {at::matmul(p.to(v.scalar_type()), v), {}};
}

struct SequenceGradients {
  at::Tensor q, k, v;
  at::Tensor biases;  ///< By distance, where there are biases.
};

SequenceGradients sequence_backward(const at::Tensor& d_out, const at::Tensor& q, const at::Tensor& k,
                                    const at::Tensor& v, const at::Tensor& out, const at::Tensor& log_sum,
                                    const AttentionOptions& options, const Ragged& ragged, int64_t b) {
  if (fused_on_host(q, options)) {
    auto [d_q, d_k, d_v] = at::_scaled_dot_product_flash_attention_for_cpu_backward(d_out, q, k, v, out, log_sum, 0.0,
                                                                                    options.causal, {}, options.scale);
    return {d_q, d_k, d_v, {}};
  }
  const at::Tensor p = probabilities(q, k, options, ragged.biases_HE);
  at::Tensor kept = p, d_p = at::matmul(d_out, v.transpose(-2, -1)).to(at::kFloat);
  if (options.dropout.active()) {
    const at::Tensor mask = probability_mask(options, ragged, b, q.size(2), k.size(2));
    kept = p * mask;
    d_p.mul_(mask);
  }
  const at::Tensor d_v = at::matmul(kept.to(v.scalar_type()).transpose(-2, -1), d_out);
  at::Tensor d_sums = (d_p - (d_p * p).sum(-1, /*keepdim=*/true)).mul_(p);
  const at::Tensor d_biases = ragged.biases_HE.defined() ? sums_by_distance(d_sums.squeeze(0)) : at::Tensor();
  const at::Tensor d_scores = d_sums.mul_(options.scale).to(q.scalar_type());
  return {at::matmul(d_scores, k), at::matmul(d_scores.transpose(-2, -1), q), d_v, d_biases};
}

struct ForwardResult {
  at::Tensor out_MD;
  std::vector<at::Tensor> log_sums;
};

/// Runs `body(begin, end)` over the sequences: on all threads on the CPU, in this one where they lie on a GPU.
template <typename Body>
void for_sequences(const at::Tensor& rows, int64_t count, const Body& body) {
  if (!rows.is_cpu()) return body(int64_t{0}, count);
  at::parallel_for(0, count, 1, body);
}

bool fused_on_device(const at::Tensor& q, const AttentionOptions& options) {
  return kWithCuda && q.is_cuda() && !options.reference && !options.bias.present() &&
         attention_is_fused(q.scalar_type(), options.dropout.active());
}

ForwardResult forward(const Packed& in, const Ragged& ragged, const AttentionOptions& options) {
  ForwardResult result;
  result.out_MD = at::empty({in.q_MD.size(0), in.q_MD.size(1)}, in.q_MD.options());
  result.log_sums.resize(static_cast<size_t>(ragged.sequences()));
  for_sequences(in.q_MD, ragged.sequences(), [&](int64_t begin, int64_t end) {
    const at::NoGradGuard no_grad;
    for (int64_t b = begin; b < end; ++b) {
      at::Tensor out = heads_view(result.out_MD, ragged.q_offsets, b, options.heads);
      if (out.size(2) == 0) continue;
      const SequenceResult sequence =
          sequence_forward(heads_view(in.q_MD, ragged.q_offsets, b, options.heads),
                           heads_view(in.k_ND, ragged.k_offsets, b, options.heads),
                           heads_view(in.v_ND, ragged.k_offsets, b, options.heads), options, ragged, b);
      out.copy_(sequence.out);
      result.log_sums[static_cast<size_t>(b)] = sequence.log_sum;
    }
  });
  return result;
}

/// Adds the sequences' gradients of the biases up, in their order, and gives them to the table.
void add_bias_gradients(const std::vector<at::Tensor>& of_sequences, const Ragged& ragged,
                        const AttentionOptions& options) {
  const at::Tensor total_HE = at::zeros_like(ragged.biases_HE);
  for (const at::Tensor& d : of_sequences) {
    if (d.defined()) for_length(total_HE, (d.size(1) + 1) / 2).add_(d);
  }
  add_bias_gradient(options.bias, -(total_HE.size(1) / 2), total_HE);
}

/// Writes the gradients of queries, keys and values into `d_in`; adds that of the biases to their table's.
void backward(const Packed& in, const Packed& d_in, const at::Tensor& d_out_MD, const at::Tensor& out_MD,
              const std::vector<at::Tensor>& log_sums, const Ragged& ragged, const AttentionOptions& options) {
  std::vector<at::Tensor> d_biases(static_cast<size_t>(ragged.sequences()));
  for_sequences(in.q_MD, ragged.sequences(), [&](int64_t begin, int64_t end) {
    const at::NoGradGuard no_grad;
    const auto q_view = [&](const at::Tensor& rows, int64_t b) {
      return heads_view(rows, ragged.q_offsets, b, options.heads);
    };
    const auto k_view = [&](const at::Tensor& rows, int64_t b) {
      return heads_view(rows, ragged.k_offsets, b, options.heads);
    };
    for (int64_t b = begin; b < end; ++b) {
      if (q_view(in.q_MD, b).size(2) == 0) {
        k_view(d_in.k_ND, b).zero_();
        k_view(d_in.v_ND, b).zero_();
        continue;
      }
      const SequenceGradients d =
          sequence_backward(q_view(d_out_MD, b), q_view(in.q_MD, b), k_view(in.k_ND, b), k_view(in.v_ND, b),
                            q_view(out_MD, b), log_sums[static_cast<size_t>(b)], options, ragged, b);
      q_view(d_in.q_MD, b).copy_(d.q);
      k_view(d_in.k_ND, b).copy_(d.k);
      k_view(d_in.v_ND, b).copy_(d.v);
      d_biases[static_cast<size_t>(b)] = d.biases;
    }
  });
  if (ragged.biases_HE.defined() && trains(options.bias.table_UH)) add_bias_gradients(d_biases, ragged, options);
}

Packed unpack_self(const at::Tensor& qkv_NE) {
  const int64_t width = qkv_NE.size(1) / 3;
  return {qkv_NE.narrow(1, 0, width), qkv_NE.narrow(1, width, width), qkv_NE.narrow(1, 2 * width, width)};
}

Packed unpack_cross(const at::Tensor& q_MD, const at::Tensor& kv_NE) {
  const int64_t width = kv_NE.size(1) / 2;
  return {q_MD, kv_NE.narrow(1, 0, width), kv_NE.narrow(1, width, width)};
}

struct AttentionNode final : torch::autograd::Node {
  Ragged ragged;
  AttentionOptions options;
  torch::autograd::SavedVariable first, second;  // qkv, or q and kv
  at::Tensor out_MD;                             // detached
  std::vector<at::Tensor> log_sums;
  cuda::AttentionShape shape;  // on a GPU, instead of `ragged` and `log_sums`
  cuda::AttentionResult on_device;
  bool cross = false;

  torch::autograd::variable_list apply(torch::autograd::variable_list&& grads) override {
    const at::NoGradGuard no_grad;
    if (!grads[0].defined()) return torch::autograd::variable_list(cross ? 2 : 1);
    const at::Tensor d_out = grads[0].contiguous();
    const at::Tensor a = first.unpack().detach(), b = cross ? second.unpack().detach() : at::Tensor();
    const at::Tensor d_a = at::empty_like(a), d_b = cross ? at::empty_like(b) : at::Tensor();
    const Packed in = cross ? unpack_cross(a, b) : unpack_self(a),
                 d_in = cross ? unpack_cross(d_a, d_b) : unpack_self(d_a);
    if (kWithCuda && fused_on_device(a, options)) {
      if constexpr (kWithCuda) cuda::attention_backward(d_out, in, d_in, on_device, shape, options);
    } else {
      backward(in, d_in, d_out, out_MD, log_sums, ragged, options);
    }
    if (!cross) return {d_a};
    return {d_a, d_b};
  }

  void release_variables() override {
    first.reset_data();
    second.reset_data();
    out_MD.reset();
    log_sums.clear();
    on_device = {};
  }
};

at::Tensor attention(const at::Tensor& first, const at::Tensor& second, const RaggedTokens& queries,
                     const RaggedTokens& keys, const AttentionOptions& options) {
  const bool cross = second.defined();
  std::shared_ptr<AttentionNode> node;
  if (graph_needed({first, second}, {options.bias.table_UH})) {
    node = cross ? make_node<AttentionNode>({first, second}) : make_node<AttentionNode>({first});
    node->cross = cross;
    node->first = save(first);
    if (cross) node->second = save(second);
  }
  Ragged ragged = make_ragged(queries, keys);
  ForwardResult result;
  {
    const at::NoGradGuard no_grad;
    const Packed in = cross ? unpack_cross(first.detach(), second.detach()) : unpack_self(first.detach());
    if constexpr (kWithCuda) {
      if (fused_on_device(first, options)) {
        const cuda::AttentionShape shape = device_shape(queries, keys);
        const cuda::AttentionResult on_device = cuda::attention(in, shape, options);
        at::Tensor out = on_device.out_MD;
        if (node) {
          node->on_device = on_device;
          node->on_device.out_MD = out.detach();
          node->shape = shape;
          node->options = options;
          torch::autograd::set_history(out, node);
        }
        return out;
      }
    }
    ragged.biases_HE = biases_of(options, keys.longest);
    result = forward(in, ragged, options);
  }
  at::Tensor out = result.out_MD;
  if (node) {
    node->out_MD = out.detach();
    node->log_sums = std::move(result.log_sums);
    node->ragged = std::move(ragged);
    node->options = options;
    torch::autograd::set_history(out, node);
  }
  return out;
}

}  // namespace

bool attention_is_fused(at::ScalarType dtype, bool drops_probabilities, int64_t biased_head_width) {
  if (biased_head_width > 0) return !drops_probabilities && tile_attention_serves(dtype, biased_head_width);
  // The libraries' fp32 kernel draws another dropout mask in backward than in forward; FlashAttention-2 wants Ampere.
  if (dtype == at::kFloat) return !drops_probabilities;
  static const bool flash = has_flash_attention(current_gpu_major());
  return flash;
}

void compile_attention_ahead(int64_t head_width, at::ScalarType dtype) {
  if constexpr (kWithCuda) cuda::compile_attention_ahead(head_width, dtype);
}

at::Tensor varlen_self_attention(const at::Tensor& qkv_NE, const RaggedTokens& tokens,
                                 const AttentionOptions& options) {
  TXTSUM_CHECK(qkv_NE.size(1) % (3 * options.heads) == 0);
  if (goes_by_tiles(qkv_NE, options)) return tiled_self_attention(qkv_NE, tokens, options);
  return attention(qkv_NE, {}, tokens, tokens, options);
}

at::Tensor varlen_cross_attention(const at::Tensor& q_MD, const RaggedTokens& target, const at::Tensor& kv_NE,
                                  const RaggedTokens& source, const AttentionOptions& options) {
  TXTSUM_CHECK(!options.causal && !options.bias.present() && kv_NE.size(1) == 2 * q_MD.size(1));
  return attention(q_MD, kv_NE, target, source, options);
}

}  // namespace txtsum::ops
