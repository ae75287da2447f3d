#pragma once

#include <string>
#include <vector>

#include "txtsum/core/json.h"
#include "txtsum/model/model_folder.h"
#include "txtsum/ops/activation.h"

namespace txtsum::model {

/// Whose names the parameters have (transformer_names.h).
enum class Naming { kBart, kT5 };

/// Standard deviations that random weights of products and tables are drawn with; norms get a scale of their own.
struct InitStds {
  double tables = 0.02, query = 0.02, key_value = 0.02, attention_out = 0.02, feed_in = 0.02, feed_out = 0.02;
  double relative_bias = 0.02;
  double norm_scale = 1.0;

  /// The same for all.
  static InitStds all(double std) { return {std, std, std, std, std, std, std, 1.0}; }
};

/// What the transformers that descend from BART (Lewis et al. 2020) and T5 (Raffel et al. 2020) have in common, and
/// where they differ.
struct TransformerArchitecture {
  ModelFacts facts;
  std::string class_name;  ///< transformers' class of the whole, which a saved config.json names.
  Naming naming = Naming::kBart;
  std::string prefix = "model";  ///< First part of the parameters' names; may be empty.
  int64_t encoder_heads = 1, decoder_heads = 1;
  double dropout = 0.0, attention_dropout = 0.0, activation_dropout = 0.0;
  bool encoder_dropout = true;  ///< False: the encoder drops nothing, whatever the probabilities say.
  bool one_dropout = false;     ///< config.json has one probability for all three.
  double encoder_layerdrop = 0.0, decoder_layerdrop = 0.0;
  InitStds init;
  double embedding_scale = 1.0;
  ops::Activation activation = ops::Activation::kGelu;
  /// Norms stand before attention and feed-forward, on a residual stream in fp32; behind them otherwise.
  bool pre_norm = false;
  bool embedding_norm = true;  ///< `layernorm_embedding`, behind the embeddings.
  bool final_norm = false;     ///< At the end of each stack, called `final_norm_name` in BART's families.
  std::string final_norm_name = "layer_norm";
  bool final_dropout = false;  ///< Behind it.
  /// The encoder's attention has its projections under `self` and its output under `output`; `q_proj`, ... otherwise.
  bool nested_attention = false;
  bool sinusoidal = false;      ///< Positions are a fixed table of sines and cosines; learned otherwise.
  int64_t position_offset = 0;  ///< Rows of the position table before position 0.
  /// More than 0: there is no table of positions; each head adds a bias to scores by the distance of query and key. A
  /// stack's layers share its table, and there are as many buckets in both stacks.
  int64_t relative_buckets = 0, relative_max_distance = 0;
  bool attention_biases = true;  ///< The products of attention have a bias.
  bool biases = true;            ///< Other products have a bias, norms a shift (see ops::NormRefs for norms without).
  double norm_epsilon = 1e-5;
  bool scaled_attention = true;  ///< Products of queries and keys are divided by the root of the heads' width.
  bool still_padding = true;     ///< The padding token's row learns nothing from inputs (PyTorch's padding_idx).
  bool tied_head = true;         ///< The token table is the output table, too.
  bool may_untie_head = false;   ///< Whether it is, the weights decide where they are read.
  double head_factor = 1.0;      ///< On the decoder's result before the output product.
  bool output_bias = true;       ///< `final_logits_bias` belongs to the model.
  bool overflows_fp16 = false;   ///< Activations of published weights leave fp16's range.
  /// Where facts.windows is not empty: the tokens that see all and are seen by all, with projections of their own.
  GlobalTokenChoice global_tokens;

  int64_t position_rows(int64_t positions) const { return positions + position_offset; }
};

/// Readers of config.json, one a family; `path` is named in complaints. All throw DataError.
TransformerArchitecture read_bart(const core::Json& config, const std::string& path);
TransformerArchitecture read_mbart(const core::Json& config, const std::string& path);
TransformerArchitecture read_pegasus(const core::Json& config, const std::string& path);
TransformerArchitecture read_bigbird_pegasus(const core::Json& config, const std::string& path);
TransformerArchitecture read_led(const core::Json& config, const std::string& path);
TransformerArchitecture read_t5(const core::Json& config, const std::string& path);

}  // namespace txtsum::model
