#include "txtsum/ops/band_attention.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "device_band.h"
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
    if (globals.empty()) return at::empty({0}, tokens.offsets_B1.options().dtype(at::kLong));
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

struct BandNode final : torch::autograd::Node {
  RaggedTokens tokens;
  GlobalTokens globals;
  BandOptions options;
  bool has_seen = false;
  torch::autograd::SavedVariable qkv;
  cuda::BandResult device_result;  // where the device's kernels ran

  torch::autograd::variable_list apply(torch::autograd::variable_list&& grads) override {
    const at::NoGradGuard no_grad;
    if (!grads[0].defined()) return torch::autograd::variable_list(2);
    at::Tensor d_out = grads[0].contiguous(), d_seen;
    if (task_should_compute_output(1)) d_seen = d_out.index_select(0, globals.rows_G);
    if (has_seen) d_out = d_out.index_fill(0, globals.rows_G, 0.0);
    if (!task_should_compute_output(0)) return {at::Tensor(), d_seen};
    const at::Tensor qkv_NE = qkv.unpack().detach();
    if constexpr (kWithCuda) {
      if (device_result.out_ND.defined()) {
        return {cuda::band_attention_backward(d_out, qkv_NE, device_result, tokens, globals, options), d_seen};
      }
    }
    const Band band{tokens, globals, options};
    const at::Tensor d_qkv_NE = at::empty_like(qkv_NE);
    for_sequences(tokens, [&](int64_t b) {
      sequence_backward(band.sequence(qkv_NE, b), band.rows(d_out, b), band.global_positions(b), options,
                        band.sequence(d_qkv_NE, b));
    });
    return {d_qkv_NE, d_seen};
  }

  void release_variables() override {
    qkv.reset_data();
    device_result = {};
  }
};

}  // namespace

bool band_attention_is_fused(at::ScalarType dtype) {
  return kWithCuda && dtype != at::kFloat && attention_is_fused(dtype, /*drops_probabilities=*/false);
}

at::Tensor band_attention(const at::Tensor& qkv_NE, const at::Tensor& seen_GD, const RaggedTokens& tokens,
                          const GlobalTokens& globals, const BandOptions& options) {
  TXTSUM_CHECK(qkv_NE.size(1) % (3 * options.heads) == 0 && options.window >= 0, options.window);
  std::shared_ptr<BandNode> node;
  if (graph_needed({qkv_NE, seen_GD}, {})) {
    node = make_node<BandNode>({qkv_NE, seen_GD});
    node->tokens = tokens;
    node->globals = globals;
    node->options = options;
    node->qkv = save(qkv_NE);
    node->has_seen = seen_GD.defined();
  }
  at::Tensor out_ND;
  {
    const at::NoGradGuard no_grad;
    const at::Tensor qkv = qkv_NE.detach();
    if (qkv.is_cuda() && band_attention_is_fused(qkv.scalar_type())) {
      if constexpr (kWithCuda) {
        cuda::BandResult result = cuda::band_attention(qkv, tokens, globals, options);
        out_ND = result.out_ND;
        if (node) {
          node->device_result = std::move(result);
          node->device_result.out_ND = out_ND.detach();
        }
      }
    } else {
      out_ND = at::empty({qkv.size(0), qkv.size(1) / 3}, qkv.options());
      const Band band{tokens, globals, options};
      for_sequences(tokens, [&](int64_t b) {
        sequence_forward(band.sequence(qkv, b), band.global_positions(b), options, band.rows(out_ND, b));
      });
    }
    // The device's backward pass reads what it made, rows that are replaced here included: their gradient is zero
    // there.
    if (seen_GD.defined()) out_ND.index_copy_(0, globals.rows_G, seen_GD.detach());
  }
  if (node) torch::autograd::set_history(out_ND, node);
  return out_ND;
}

}  // namespace txtsum::ops
