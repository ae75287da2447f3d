#pragma once

#include <string>
#include <vector>

#include "transformer_architecture.h"

// Hugging Face's names of the parameters of the families that TransformerArchitecture describes.

namespace txtsum::model {

/// An output table of its own.
inline constexpr const char* kOutputTable = "lm_head";

enum Side { kEncoder, kDecoder };

/// Names of one attention's products, without `.weight` and `.bias`. Members of a fused product are views of a group
/// that is called `stem` + `.qkv` (in cross-attention `.kv`).
struct AttentionNames {
  std::string stem, query, key, value, out;
};

/// Names of one layer's products and norms.
struct LayerNames {
  AttentionNames attention, cross;  ///< `cross` in decoders.
  std::string attention_norm, cross_norm, final_norm;
  std::string feed_in, feed_out;
  /// The parameters behind `feed_in`: itself, or the two that a gated layer has, which make a group called `feed_in`.
  std::vector<std::string> feed_in_parts;
};

/// Names of what stands before and behind the layers of a stack.
struct StackNames {
  std::string positions, relative_bias, embedding_norm, final_norm;
};

/// The table of tokens.
std::string table_name(const TransformerArchitecture& architecture);
/// The table of the output product, which may be the table of tokens.
std::string head_name(const TransformerArchitecture& architecture);
StackNames stack_names(const TransformerArchitecture& architecture, Side side);
LayerNames layer_names(const TransformerArchitecture& architecture, Side side, int64_t layer);

}  // namespace txtsum::model
