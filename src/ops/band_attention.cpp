#include "txtsum/ops/band_attention.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <limits>

#include "device_attention.h"
#include "device_ops.h"
#include "graph.h"
#include "txtsum/core/check.h"
#include "txtsum/ops/varlen_attention.h"

namespace txtsum::ops {
namespace {

/// Fewest queries of a piece: smaller products are slow.
constexpr int64_t kSmallestPiece = 64;

/// One sequence: [H, n, K] views of its queries, keys and values (or of their gradients).
struct Sequence {
  at::Tensor q, k, v;
};

/// Rows begin to end of [N, D] as [H, length, K] without a copy.
at::Tensor heads_of(const at::Tensor& rows_ND, int64_t begin, int64_t end, int64_t heads) {
  return rows_ND.narrow(0, begin, end - begin).view({end - begin, heads, rows_ND.size(1) / heads}).transpose(0, 1);
}

struct Band {
  const RaggedTokens& tokens;
  const GlobalTokens& globals;
  const BandOptions& options;

  int64_t begin(int64_t b) const { return tokens.offsets[static_cast<size_t>(b)]; }
  int64_t length(int64_t b) const { return tokens.offsets[static_cast<size_t>(b) + 1] - begin(b); }
  Sequence sequence(const at::Tensor& qkv_NE, int64_t b) const {
    const int64_t width = qkv_NE.size(1) / 3;
    const auto part = [&](int64_t which) {
      return heads_of(qkv_NE.narrow(1, which * width, width), begin(b), begin(b) + length(b), options.heads);
    };
    return {part(0), part(1), part(2)};
  }
  at::Tensor rows(const at::Tensor& rows_ND, int64_t b) const {
    return heads_of(rows_ND, begin(b), begin(b) + length(b), options.heads);
  }
  /// Positions of the sequence's global tokens, [g].
  at::Tensor global_positions(int64_t b) const {
    const int64_t first = globals.tokens.offsets[static_cast<size_t>(b)];
    const int64_t count = globals.tokens.offsets[static_cast<size_t>(b) + 1] - first;
    return globals.rows_G.narrow(0, first, count) - begin(b);
  }
};

/// Queries first to last of a sequence with the stretch of keys that they can see by their neighbourhood.
struct Piece {
  int64_t first, last, key_first, key_last;
  int64_t queries() const { return last - first; }
  int64_t keys() const { return key_last - key_first; }
};

std::vector<Piece> pieces_of(int64_t length, int64_t window) {
  std::vector<Piece> pieces;
  const int64_t size = std::max(window, kSmallestPiece);
  for (int64_t first = 0; first < length; first += size) {
    const int64_t last = std::min(first + size, length);
    pieces.push_back({first, last, std::max<int64_t>(first - window, 0), std::min(last + window, length)});
  }
  return pieces;
}

/// True where key column and query row may not meet in the band: too far apart, or a global key, which counts
/// elsewhere.
at::Tensor hidden_of(const Piece& piece, int64_t window, const at::Tensor& positions_g,
                     const at::TensorOptions& options) {
  const at::Tensor q = at::arange(piece.first, piece.last, options).unsqueeze(1),
                   k = at::arange(piece.key_first, piece.key_last, options).unsqueeze(0);
  at::Tensor hidden = (q - k).abs().gt(window);
  if (positions_g.numel() > 0) hidden.logical_or_(k.transpose(0, 1).eq(positions_g).any(1).unsqueeze(0));
  return hidden;
}

/// Probabilities of one piece in fp32, [H, queries, g + keys]: the global keys first.
at::Tensor probabilities(const Sequence& in, const at::Tensor& global_k, const Piece& piece, const at::Tensor& hidden,
                         double scale) {
  const at::Tensor q = in.q.narrow(1, piece.first, piece.queries());
  const auto scores = [&](const at::Tensor& k) { return at::matmul(q, k.transpose(1, 2)).to(at::kFloat).mul_(scale); };
  at::Tensor near = scores(in.k.narrow(1, piece.key_first, piece.keys()));
  near.masked_fill_(hidden, -std::numeric_limits<float>::infinity());
  return at::softmax(at::cat({scores(global_k), near}, 2), -1);
}

void sequence_forward(const Sequence& in, const at::Tensor& positions_g, const BandOptions& options,
                      const at::Tensor& out) {
  const at::Tensor global_k = in.k.index_select(1, positions_g), global_v = in.v.index_select(1, positions_g);
  const int64_t g = positions_g.numel();
  for (const Piece& piece : pieces_of(in.q.size(1), options.window)) {
    const at::Tensor hidden = hidden_of(piece, options.window, positions_g, positions_g.options());
    const at::Tensor p = probabilities(in, global_k, piece, hidden, options.scale).to(in.v.scalar_type());
    const at::Tensor near_v = in.v.narrow(1, piece.key_first, piece.keys());
    out.narrow(1, piece.first, piece.queries())
        .copy_(at::matmul(p.narrow(2, 0, g), global_v) + at::matmul(p.narrow(2, g, piece.keys()), near_v));
  }
}

void sequence_backward(const Sequence& in, const at::Tensor& d_out, const at::Tensor& positions_g,
                       const BandOptions& options, const Sequence& d_in) {
  const at::ScalarType type = in.q.scalar_type();
  const at::Tensor global_k = in.k.index_select(1, positions_g), global_v = in.v.index_select(1, positions_g);
  const int64_t g = positions_g.numel();
  // A key is seen from several pieces: their shares are added in fp32.
  at::Tensor d_k = at::zeros(in.k.sizes(), in.k.options().dtype(at::kFloat)), d_v = at::zeros_like(d_k);
  for (const Piece& piece : pieces_of(in.q.size(1), options.window)) {
    const at::Tensor hidden = hidden_of(piece, options.window, positions_g, positions_g.options());
    const at::Tensor p = probabilities(in, global_k, piece, hidden, options.scale);
    const at::Tensor near_k = in.k.narrow(1, piece.key_first, piece.keys()),
                     near_v = in.v.narrow(1, piece.key_first, piece.keys());
    const at::Tensor q = in.q.narrow(1, piece.first, piece.queries()),
                     d = d_out.narrow(1, piece.first, piece.queries());
    const at::Tensor d_p = at::matmul(d, at::cat({global_v, near_v}, 1).transpose(1, 2)).to(at::kFloat);
    const at::Tensor d_scores = (d_p - (d_p * p).sum(-1, /*keepdim=*/true)).mul_(p).mul_(options.scale).to(type);
    d_in.q.narrow(1, piece.first, piece.queries()).copy_(at::matmul(d_scores, at::cat({global_k, near_k}, 1)));
    const at::Tensor piece_d_k = at::matmul(d_scores.transpose(1, 2), q).to(at::kFloat),
                     piece_d_v = at::matmul(p.to(type).transpose(1, 2), d).to(at::kFloat);
    d_k.narrow(1, piece.key_first, piece.keys()).add_(piece_d_k.narrow(1, g, piece.keys()));
    d_v.narrow(1, piece.key_first, piece.keys()).add_(piece_d_v.narrow(1, g, piece.keys()));
    d_k.index_add_(1, positions_g, piece_d_k.narrow(1, 0, g));
    d_v.index_add_(1, positions_g, piece_d_v.narrow(1, 0, g));
  }
  d_in.k.copy_(d_k);
  d_in.v.copy_(d_v);
}

template <typename Body>
void for_sequences(const RaggedTokens& tokens, const Body& body) {
  const auto run = [&](int64_t begin, int64_t end) {
    const at::NoGradGuard no_grad;
    for (int64_t b = begin; b < end; ++b) {
      if (tokens.offsets[static_cast<size_t>(b)] < tokens.offsets[static_cast<size_t>(b) + 1]) body(b);
    }
  };
  if (!tokens.offsets_B1.is_cpu()) return run(0, tokens.sequences());
  at::parallel_for(0, tokens.sequences(), 1, run);
}

/// The global keys that lie outside the band of a sequence's queries, for merging into the band's result.
struct FarGlobals {
  at::Tensor k, v;       ///< [H, g, K]
  at::Tensor scores;     ///< fp32 [H, n, g]; minus infinity inside the band.
  at::Tensor positions;  ///< [g]
};

FarGlobals far_globals(const Band& band, const Sequence& in, int64_t b) {
  FarGlobals far;
  far.positions = band.global_positions(b);
  far.k = in.k.index_select(1, far.positions);
  far.v = in.v.index_select(1, far.positions);
  far.scores = at::matmul(in.q, far.k.transpose(1, 2)).to(at::kFloat).mul_(band.options.scale);
  const at::Tensor all = at::arange(in.q.size(1), far.positions.options()).unsqueeze(1);
  far.scores.masked_fill_((all - far.positions).abs().le(band.options.window), -std::numeric_limits<float>::infinity());
  return far;
}

struct Merged {
  at::Tensor out_ND, log_sum_HN;
  at::Tensor random_state, random_offset;  // FlashAttention-2 wants them back though nothing is dropped
};

cuda::Packed unpack(const at::Tensor& qkv_NE) {
  const int64_t width = qkv_NE.size(1) / 3;
  return {qkv_NE.narrow(1, 0, width), qkv_NE.narrow(1, width, width), qkv_NE.narrow(1, 2 * width, width)};
}

Merged merged_forward(const at::Tensor& qkv_NE, const Band& band) {
  const at::NoGradGuard no_grad;
  const cuda::Packed in = unpack(qkv_NE);
  const auto heads = [&](const at::Tensor& x) { return x.unflatten(1, {band.options.heads, -1}); };
  const at::Tensor& offsets = band.tokens.offsets_B1;
  auto [out, log_sum, state, unused, debug] = at::_flash_attention_forward(
      heads(in.q_MD), heads(in.k_ND), heads(in.v_ND), offsets, offsets, band.tokens.longest, band.tokens.longest,
      /*dropout_p=*/0.0, /*is_causal=*/false, /*return_debug_mask=*/false, band.options.scale, band.options.window,
      band.options.window);
  Merged merged{out.flatten(1), log_sum, state, unused};
  if (band.globals.empty()) return merged;
  for_sequences(band.tokens, [&](int64_t b) {
    if (band.length(b) <= band.options.window + 1) return;  // everything is in the band
    const FarGlobals far = far_globals(band, band.sequence(qkv_NE, b), b);
    if (far.positions.numel() == 0) return;
    at::Tensor rows = band.rows(merged.out_ND, b), near = merged.log_sum_HN.narrow(1, band.begin(b), band.length(b));
    const at::Tensor whole = at::logaddexp(near, far.scores.logsumexp(2));
    const at::Tensor far_p = (far.scores - whole.unsqueeze(2)).exp_();
    const at::Tensor near_share = (near - whole).exp_().unsqueeze(2);
    // bf16 times fp32 is fp32: the sum is rounded once.
    rows.copy_(at::mul(rows, near_share).add_(at::matmul(far_p.to(far.v.scalar_type()), far.v)));
    near.copy_(whole);
  });
  return merged;
}

/// With the merged result and its log-sum in place of the band's own, FlashAttention-2's backward pass gives the band's
/// share of the gradients; the far global keys add theirs.
at::Tensor merged_backward(const at::Tensor& d_out_ND, const at::Tensor& qkv_NE, const Merged& merged,
                           const Band& band) {
  const cuda::Packed in = unpack(qkv_NE);
  const auto heads = [&](const at::Tensor& x) { return x.unflatten(1, {band.options.heads, -1}); };
  const at::Tensor& offsets = band.tokens.offsets_B1;
  const auto [d_q, d_k, d_v] = at::_flash_attention_backward(
      heads(d_out_ND), heads(in.q_MD), heads(in.k_ND), heads(in.v_ND), heads(merged.out_ND), merged.log_sum_HN, offsets,
      offsets, band.tokens.longest, band.tokens.longest, /*dropout_p=*/0.0, /*is_causal=*/false, merged.random_state,
      merged.random_offset, band.options.scale, band.options.window, band.options.window);
  const at::Tensor d_qkv_NE = at::cat({d_q.flatten(1), d_k.flatten(1), d_v.flatten(1)}, 1);
  if (band.globals.empty()) return d_qkv_NE;
  for_sequences(band.tokens, [&](int64_t b) {
    if (band.length(b) <= band.options.window + 1) return;
    const Sequence rows = band.sequence(qkv_NE, b), d_rows = band.sequence(d_qkv_NE, b);
    const FarGlobals far = far_globals(band, rows, b);
    if (far.positions.numel() == 0) return;
    const at::Tensor d = band.rows(d_out_ND, b), out = band.rows(merged.out_ND, b);
    const at::Tensor log_sum = merged.log_sum_HN.narrow(1, band.begin(b), band.length(b));
    const at::Tensor p = (far.scores - log_sum.unsqueeze(2)).exp_();
    const at::Tensor mean = at::sum(d * out, {2}, /*keepdim=*/true, at::kFloat);
    const at::Tensor d_p = at::matmul(d, far.v.transpose(1, 2)).to(at::kFloat);
    const at::Tensor d_scores = (d_p - mean).mul_(p).mul_(band.options.scale).to(d.scalar_type());
    d_rows.q.add_(at::matmul(d_scores, far.k));
    at::Tensor(d_rows.k).index_add_(1, far.positions, at::matmul(d_scores.transpose(1, 2), rows.q));
    at::Tensor(d_rows.v).index_add_(1, far.positions, at::matmul(p.to(d.scalar_type()).transpose(1, 2), d));
  });
  return d_qkv_NE;
}

bool merges(const at::Tensor& qkv_NE) {
  return kWithCuda && qkv_NE.is_cuda() && qkv_NE.scalar_type() != at::kFloat &&
         attention_is_fused(qkv_NE.scalar_type(), /*drops_probabilities=*/false);
}

struct BandNode final : torch::autograd::Node {
  RaggedTokens tokens;
  GlobalTokens globals;
  BandOptions options;
  torch::autograd::SavedVariable qkv;
  Merged merged;  // where FlashAttention-2 ran

  torch::autograd::variable_list apply(torch::autograd::variable_list&& grads) override {
    const at::NoGradGuard no_grad;
    if (!grads[0].defined()) return {at::Tensor()};
    const at::Tensor d_out = grads[0].contiguous(), qkv_NE = qkv.unpack().detach();
    const Band band{tokens, globals, options};
    if (merged.out_ND.defined()) return {merged_backward(d_out, qkv_NE, merged, band)};
    const at::Tensor d_qkv_NE = at::empty_like(qkv_NE);
    for_sequences(tokens, [&](int64_t b) {
      sequence_backward(band.sequence(qkv_NE, b), band.rows(d_out, b), band.global_positions(b), options,
                        band.sequence(d_qkv_NE, b));
    });
    return {d_qkv_NE};
  }

  void release_variables() override {
    qkv.reset_data();
    merged = {};
  }
};

}  // namespace

GlobalTokens make_global_tokens(std::vector<int64_t> rows, const RaggedTokens& tokens) {
  TXTSUM_CHECK(std::is_sorted(rows.begin(), rows.end()));
  GlobalTokens globals;
  std::vector<int64_t>& offsets = globals.tokens.offsets;
  for (const int64_t end : tokens.offsets) {
    offsets.push_back(std::lower_bound(rows.begin(), rows.end(), end) - rows.begin());
    if (offsets.size() > 1) {
      globals.tokens.longest = std::max(globals.tokens.longest, offsets.back() - offsets[offsets.size() - 2]);
    }
  }
  globals.tokens.offsets_B1 = at::tensor(offsets, at::kLong).to(at::kInt).to(tokens.offsets_B1.device());
  globals.rows_G = at::tensor(rows, at::kLong).to(tokens.offsets_B1.device());
  globals.rows = std::move(rows);
  return globals;
}

at::Tensor band_attention(const at::Tensor& qkv_NE, const RaggedTokens& tokens, const GlobalTokens& globals,
                          const BandOptions& options) {
  TXTSUM_CHECK(qkv_NE.size(1) % (3 * options.heads) == 0 && options.window >= 0, options.window);
  std::shared_ptr<BandNode> node;
  if (graph_needed({qkv_NE}, {})) {
    node = make_node<BandNode>({qkv_NE});
    node->tokens = tokens;
    node->globals = globals;
    node->options = options;
    node->qkv = save(qkv_NE);
  }
  at::Tensor out_ND;
  {
    const at::NoGradGuard no_grad;
    const at::Tensor qkv = qkv_NE.detach();
    const Band band{tokens, globals, options};
    if (merges(qkv)) {
      const Merged merged = merged_forward(qkv, band);
      out_ND = merged.out_ND;
      if (node) {
        node->merged = merged;
        node->merged.out_ND = out_ND.detach();
      }
    } else {
      out_ND = at::empty({qkv.size(0), qkv.size(1) / 3}, qkv.options());
      for_sequences(tokens, [&](int64_t b) {
        sequence_forward(band.sequence(qkv, b), band.global_positions(b), options, band.rows(out_ND, b));
      });
    }
  }
  if (node) torch::autograd::set_history(out_ND, node);
  return out_ND;
}

}  // namespace txtsum::ops
