#include "txtsum/ops/block_sparse_attention.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>

#include "device_ops.h"
#include "graph.h"
#include "txtsum/core/check.h"
#include "txtsum/ops/tile_attention.h"

namespace txtsum::ops {
namespace {

/// Rows begin to end of a part of [N, E] as [H, length, K] without a copy.
at::Tensor heads_of(const at::Tensor& rows_ND, int64_t begin, int64_t length, int64_t heads) {
  return rows_ND.narrow(0, begin, length).view({length, heads, rows_ND.size(1) / heads}).transpose(0, 1);
}

/// One sequence: [H, n, K] views of its queries, keys and values (or of their gradients).
struct Sequence {
  at::Tensor q, k, v;
};

/// The shape of one sequence under a plan.
struct Cut {
  const BlockPlan& plan;
  int64_t tokens;

  int64_t size() const { return plan.rule().block; }
  int64_t blocks() const { return plan.rule().blocks_of(tokens); }
  int64_t rows_in(int64_t block) const { return std::min(size(), tokens - block * size()); }
  int64_t missing() const { return blocks() * size() - tokens; }
};

/// [H, n, K] as [H * blocks, size * K], so that blocks are rows; what the last one lacks is zero.
at::Tensor as_blocks(const at::Tensor& x, const Cut& cut) {
  const int64_t heads = x.size(0), width = x.size(2);
  const at::Tensor blocks = at::zeros({heads, cut.blocks() * cut.size(), width}, x.options());
  blocks.narrow(1, 0, cut.tokens).copy_(x);
  return blocks.view({heads * cut.blocks(), cut.size() * width});
}

/// The keys of one block of queries: which rows of as_blocks() they are, all heads one after the other.
struct Seen {
  at::Tensor rows;                 ///< int64, [H * blocks]
  std::vector<BlockEntry> counts;  ///< Head 0's list: all heads have as many and count them alike.

  int64_t blocks() const { return static_cast<int64_t>(counts.size()); }
};

/// Of each block of queries of a sequence; on a GPU in one copy.
std::vector<Seen> seen_blocks(const Cut& cut, const at::Device& device) {
  const int64_t heads = cut.plan.rule().heads, blocks = cut.blocks();
  std::vector<int64_t> all;
  std::vector<Seen> seen(static_cast<size_t>(blocks));
  for (int64_t row = 0; row < blocks; ++row) {
    const auto first = cut.plan.keys().row(blocks, 0, row);
    seen[static_cast<size_t>(row)].counts.assign(first.begin(), first.end());
    for (int64_t head = 0; head < heads; ++head) {
      const auto list = cut.plan.keys().row(blocks, head, row);
      // The last block of the sequence may have fewer tokens than the others: it is cut behind the last key.
      TXTSUM_CHECK(list.size() == first.size() && block_of(list.back()) == blocks - 1, row);
      for (const BlockEntry entry : list) all.push_back(head * blocks + block_of(entry));
    }
  }
  const at::Tensor rows = at::tensor(all, at::kLong).to(device);
  int64_t begin = 0;
  for (Seen& row : seen) {
    row.rows = rows.narrow(0, begin, heads * row.blocks());
    begin += row.rows.numel();
  }
  return seen;
}

/// The seen rows of as_blocks() as [H, keys, K].
at::Tensor gathered(const at::Tensor& blocks, const Seen& seen, const Cut& cut) {
  const int64_t heads = cut.plan.rule().heads, keys = seen.blocks() * cut.size();
  return blocks.index_select(0, seen.rows).view({heads, keys, -1}).narrow(1, 0, keys - cut.missing());
}

/// Probabilities in fp32, [H, queries, keys].
at::Tensor probabilities(const at::Tensor& q, const at::Tensor& keys, const Seen& seen, const Cut& cut, double scale) {
  const at::Tensor scores = at::matmul(q, keys.transpose(1, 2)).to(at::kFloat).mul_(scale);
  for (size_t i = 0; i < seen.counts.size(); ++i) {
    const int64_t times = times_of(seen.counts[i]), first = static_cast<int64_t>(i) * cut.size();
    if (times == 1) continue;
    scores.narrow(2, first, std::min(cut.size(), scores.size(2) - first)).add_(std::log(static_cast<double>(times)));
  }
  return at::softmax(scores, -1);
}

void sequence_forward(const Sequence& in, const Cut& cut, double scale, const at::Tensor& out) {
  const at::Tensor k = as_blocks(in.k, cut), v = as_blocks(in.v, cut);
  const std::vector<Seen> seen = seen_blocks(cut, in.q.device());
  for (int64_t row = 0; row < cut.blocks(); ++row) {
    const Seen& keys = seen[static_cast<size_t>(row)];
    const int64_t first = row * cut.size(), queries = cut.rows_in(row);
    const at::Tensor p = probabilities(in.q.narrow(1, first, queries), gathered(k, keys, cut), keys, cut, scale);
    out.narrow(1, first, queries).copy_(at::matmul(p.to(in.v.scalar_type()), gathered(v, keys, cut)));
  }
}

/// Adds [H, keys, K] to the rows that gathered() took them from; those of one call are distinct.
void add_gathered(const at::Tensor& blocks, const at::Tensor& piece, const Seen& seen, const Cut& cut) {
  const at::Tensor whole = at::constant_pad_nd(piece.to(at::kFloat), {0, 0, 0, cut.missing()});
  at::Tensor(blocks).index_add_(0, seen.rows, whole.view({-1, blocks.size(1)}));
}

void sequence_backward(const Sequence& in, const at::Tensor& d_out, const Cut& cut, double scale,
                       const Sequence& d_in) {
  const at::ScalarType type = in.q.scalar_type();
  const at::Tensor k = as_blocks(in.k, cut), v = as_blocks(in.v, cut);
  const std::vector<Seen> seen = seen_blocks(cut, in.q.device());
  // A key is seen by several blocks of queries: their shares are added in fp32, in the order of the blocks.
  const at::Tensor d_k = at::zeros(k.sizes(), k.options().dtype(at::kFloat)), d_v = at::zeros_like(d_k);
  for (int64_t row = 0; row < cut.blocks(); ++row) {
    const Seen& list = seen[static_cast<size_t>(row)];
    const int64_t first = row * cut.size(), queries = cut.rows_in(row);
    const at::Tensor q = in.q.narrow(1, first, queries), d = d_out.narrow(1, first, queries);
    const at::Tensor keys = gathered(k, list, cut), values = gathered(v, list, cut);
    const at::Tensor p = probabilities(q, keys, list, cut, scale);
    const at::Tensor d_p = at::matmul(d, values.transpose(1, 2)).to(at::kFloat);
    const at::Tensor d_scores = (d_p - (d_p * p).sum(-1, /*keepdim=*/true)).mul_(p).mul_(scale).to(type);
    d_in.q.narrow(1, first, queries).copy_(at::matmul(d_scores, keys));
    add_gathered(d_k, at::matmul(d_scores.transpose(1, 2), q), list, cut);
    add_gathered(d_v, at::matmul(p.to(type).transpose(1, 2), d), list, cut);
  }
  const auto rows_of = [&](const at::Tensor& blocks) {
    return blocks.view({in.k.size(0), cut.blocks() * cut.size(), in.k.size(2)}).narrow(1, 0, cut.tokens);
  };
  d_in.k.copy_(rows_of(d_k));
  d_in.v.copy_(rows_of(d_v));
}

struct Batch {
  const RaggedTokens& tokens;
  const BlockPlan& plan;
  double scale;

  int64_t begin(int64_t b) const { return tokens.offsets[static_cast<size_t>(b)]; }
  int64_t length(int64_t b) const { return tokens.offsets[static_cast<size_t>(b) + 1] - begin(b); }
  Sequence sequence(const at::Tensor& qkv_NE, int64_t b) const {
    const int64_t width = qkv_NE.size(1) / 3;
    const auto part = [&](int64_t which) {
      return heads_of(qkv_NE.narrow(1, which * width, width), begin(b), length(b), plan.rule().heads);
    };
    return {part(0), part(1), part(2)};
  }
  at::Tensor rows(const at::Tensor& rows_ND, int64_t b) const {
    return heads_of(rows_ND, begin(b), length(b), plan.rule().heads);
  }
  template <typename Body>
  void for_sequences(const Body& body) const {
    const auto run = [&](int64_t first, int64_t last) {
      const at::NoGradGuard no_grad;
      for (int64_t b = first; b < last; ++b) {
        if (length(b) > 0) body(b);
      }
    };
    if (!tokens.offsets_B1.is_cpu()) return run(0, tokens.sequences());
    at::parallel_for(0, tokens.sequences(), 1, run);
  }
};

bool fused(const at::Tensor& qkv_NE, const BlockRule& rule) {
  return kWithCuda && qkv_NE.is_cuda() &&
         block_sparse_attention_is_fused(qkv_NE.scalar_type(), qkv_NE.size(1) / (3 * rule.heads), rule.block);
}

TileAttentionOptions tile_options(const RaggedTokens& tokens, const BlockPlan& plan, double scale) {
  TileAttentionOptions options;
  options.heads = plan.rule().heads;
  options.scale = scale;
  options.offsets_B1 = tokens.offsets_B1;
  options.longest = tokens.longest;
  options.plan = &plan;
  return options;
}

struct BlockSparseNode final : torch::autograd::Node {
  RaggedTokens tokens;
  std::shared_ptr<const BlockPlan> plan;
  double scale = 1.0;
  torch::autograd::SavedVariable qkv;
  TileAttentionResult on_device;  // where the kernel ran

  torch::autograd::variable_list apply(torch::autograd::variable_list&& grads) override {
    const at::NoGradGuard no_grad;
    if (!grads[0].defined()) return {at::Tensor()};
    const at::Tensor d_out = grads[0].contiguous(), qkv_NE = qkv.unpack().detach();
    if (on_device.out_ND.defined()) {
      return {tile_attention_backward(d_out, qkv_NE, on_device, tile_options(tokens, *plan, scale)).d_qkv_NE};
    }
    const Batch batch{tokens, *plan, scale};
    const at::Tensor d_qkv_NE = at::empty_like(qkv_NE);
    batch.for_sequences([&](int64_t b) {
      sequence_backward(batch.sequence(qkv_NE, b), batch.rows(d_out, b), {*plan, batch.length(b)}, scale,
                        batch.sequence(d_qkv_NE, b));
    });
    return {d_qkv_NE};
  }

  void release_variables() override {
    qkv.reset_data();
    on_device = {};
  }
};

}  // namespace

bool block_sparse_attention_is_fused(at::ScalarType dtype, int64_t head_width, int64_t block) {
  return block == kTileTokens && tile_attention_serves(dtype, head_width);
}

at::Tensor block_sparse_attention(const at::Tensor& qkv_NE, const RaggedTokens& tokens,
                                  const std::shared_ptr<const BlockPlan>& plan, double scale) {
  TXTSUM_CHECK(qkv_NE.size(1) % (3 * plan->rule().heads) == 0 && tokens.longest <= plan->max_tokens(), tokens.longest);
  std::shared_ptr<BlockSparseNode> node;
  if (graph_needed({qkv_NE}, {})) {
    node = make_node<BlockSparseNode>({qkv_NE});
    node->tokens = tokens;
    node->plan = plan;
    node->scale = scale;
    node->qkv = save(qkv_NE);
  }
  at::Tensor out_ND;
  {
    const at::NoGradGuard no_grad;
    const at::Tensor qkv = qkv_NE.detach();
    if (fused(qkv, plan->rule())) {
      const TileAttentionResult result = tile_attention(qkv, tile_options(tokens, *plan, scale));
      out_ND = result.out_ND;
      if (node) {
        node->on_device = result;
        node->on_device.out_ND = out_ND.detach();
      }
    } else {
      out_ND = at::empty({qkv.size(0), qkv.size(1) / 3}, qkv.options());
      const Batch batch{tokens, *plan, scale};
      batch.for_sequences([&](int64_t b) {
        sequence_forward(batch.sequence(qkv, b), {*plan, batch.length(b)}, scale, batch.rows(out_ND, b));
      });
    }
  }
  if (node) torch::autograd::set_history(out_ND, node);
  return out_ND;
}

}  // namespace txtsum::ops
