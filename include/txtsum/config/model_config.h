#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "txtsum/config/precision.h"

namespace txtsum::config {

class FieldVisitor;
class Complaints;

enum class ModelInit { kPretrained, kRandom };
inline std::vector<std::string_view> choice_names(ModelInit) { return {"pretrained", "random"}; }

enum class RandomBlocks { kSeeded, kTransformers };
inline std::vector<std::string_view> choice_names(RandomBlocks) { return {"seeded", "transformers"}; }

/// Section `model`: which weights to start from and which of them learn.
struct ModelConfig {
  std::string checkpoint;                     ///< Hub folder, Hub id in the local cache, step folder or run folder.
  ModelInit init = ModelInit::kPretrained;    ///< kRandom builds from config.json alone.
  std::optional<double> dropout;              ///< Unset: config.json's.
  std::optional<double> attention_dropout;    ///< Unset: config.json's.
  std::optional<double> activation_dropout;   ///< Unset: config.json's.
  bool encoder_dropout = true;                ///< False: none of the three in the encoder, and no layer left out.
  std::vector<std::string> global_tokens;     ///< first, none, or tokens' texts; empty: config.json's.
  std::optional<RandomBlocks> random_blocks;  ///< Unset: config.json's; seeded where that says nothing.
  std::vector<std::string> freeze;            ///< embeddings, encoder, decoder, encoder.layers.0-5, or name globs.
  std::optional<Precision> save_precision;    ///< Type of the finished model/; the loader sets train.precision.

  void describe(FieldVisitor& visitor);
  void check(Complaints& complaints) const;
};

}  // namespace txtsum::config
