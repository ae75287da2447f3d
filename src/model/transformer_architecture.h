#pragma once

#include <string>

#include "txtsum/core/json.h"
#include "txtsum/model/model_folder.h"
#include "txtsum/ops/activation.h"

namespace txtsum::model {

/// The numbers of a BART from its config.json (Lewis et al. 2020), under transformers' meanings.
struct BartArchitecture {
  ModelFacts facts;
  int64_t encoder_heads = 1, decoder_heads = 1;
  double dropout = 0.0, attention_dropout = 0.0, activation_dropout = 0.0;
  double encoder_layerdrop = 0.0, decoder_layerdrop = 0.0;
  double init_std = 0.02;
  double embedding_scale = 1.0;
  ops::Activation activation = ops::Activation::kGelu;

  /// Reads config.json; `path` is named in complaints. Throws DataError.
  static BartArchitecture read(const core::Json& config, const std::string& path);
};

/// Rows of the position table before position 0 (transformers' BartLearnedPositionalEmbedding).
inline constexpr int64_t kBartPositionOffset = 2;

}  // namespace txtsum::model
