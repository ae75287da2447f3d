#pragma once

#include <string>
#include <vector>

#include "txtsum/core/json.h"
#include "txtsum/model/model_folder.h"
#include "txtsum/ops/activation.h"

namespace txtsum::model {

/// What the transformers that descend from BART (Lewis et al. 2020) have in common, and where they differ. Names of
/// parameters are theirs, too.
struct TransformerArchitecture {
  ModelFacts facts;
  std::string class_name;        ///< transformers' class of the whole, which a saved config.json names.
  std::string prefix = "model";  ///< First part of the parameters' names.
  int64_t encoder_heads = 1, decoder_heads = 1;
  double dropout = 0.0, attention_dropout = 0.0, activation_dropout = 0.0;
  double encoder_layerdrop = 0.0, decoder_layerdrop = 0.0;
  double init_std = 0.02;
  double embedding_scale = 1.0;
  ops::Activation activation = ops::Activation::kGelu;
  /// Norms stand before attention and feed-forward, on a residual stream in fp32; behind them otherwise.
  bool pre_norm = false;
  bool embedding_norm = true;  ///< `layernorm_embedding`, behind the embeddings.
  bool final_norm = false;     ///< At the end of each stack, called `final_norm_name`.
  std::string final_norm_name = "layer_norm";
  /// The encoder's attention has its projections under `self` and its output under `output`; `q_proj`, ... otherwise.
  bool nested_attention = false;
  bool attention_biases = true;  ///< The products of attention have biases.
  bool sinusoidal = false;       ///< Positions are a fixed table of sines and cosines; learned otherwise.
  int64_t position_offset = 0;   ///< Rows of the position table before position 0.
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

}  // namespace txtsum::model
