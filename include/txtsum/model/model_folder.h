#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "txtsum/core/json.h"
#include "txtsum/model/seq2seq_model.h"

namespace txtsum::model {

/// Which tokens of a source all others see in a model with windowed attention. A saved config.json has it under
/// `txtsum_global_tokens`, a list of `first` and token ids; a folder without that key has the first token.
struct GlobalTokenChoice {
  bool first = true;              ///< The first token of each source.
  std::vector<int64_t> ids = {};  ///< And all tokens with these ids.

  bool none() const { return !first && ids.empty(); }
  /// Reads config.json. Throws DataError.
  static GlobalTokenChoice of(const core::Json& config, const std::string& path);
};

/// Which random blocks a model with block-sparse attention has. A saved config.json has it under
/// `txtsum_random_blocks`: `transformers`, or the seed.
struct RandomBlockChoice {
  /// See ops::BlockRule. Unset: those of transformers' evaluation.
  std::optional<uint64_t> seed;

  /// Reads config.json; none where it has no such key. Throws DataError.
  static std::optional<RandomBlockChoice> of(const core::Json& config, const std::string& path);
};

/// What to load and how.
struct LoadRequest {
  std::string folder;                 ///< A Hugging Face folder: config.json and, unless random_weights, the weights.
  bool random_weights = false;        ///< Draw weights from config.json's init_std instead of reading them.
  uint64_t seed = 0;                  ///< For random weights.
  at::ScalarType dtype = at::kFloat;  ///< Type of the working weights: kFloat or kBFloat16.
  at::Device device = at::kCPU;       ///< Where the model lives.
  std::vector<std::string> freeze;    ///< See freeze().
  std::optional<double> dropout, attention_dropout, activation_dropout;  ///< Replace config.json's.
  bool encoder_dropout =
      true;  ///< False: training drops nothing in the encoder, as after transformers' encoder.eval().
  std::optional<GlobalTokenChoice> global_tokens;  ///< Replaces config.json's.
  std::optional<RandomBlockChoice> random_blocks;  ///< Replaces config.json's.
  RandomBlockChoice usual_random_blocks;           ///< Where neither names any and the model has some.
};

/// A model with what is needed to write its folder again.
struct LoadedModel {
  std::unique_ptr<Seq2SeqModel> model;
  core::Json config;       ///< config.json as it was read.
  std::string class_name;  ///< transformers' class of the model.
  /// Each arena entry as its file has it (views of the mapped file, in the file's type), in the order of the layout;
  /// empty for random weights. Finer than the working weights where these are bf16 and the file is fp32.
  std::vector<at::Tensor> sources;
};

/// Loads config.json and weights. Accepts names with and without the `model.` prefix and the duplicates of tied tables.
/// Throws DataError for a family that is not known, a missing or superfluous weight, or a wrong shape, with file, name,
/// wanted and found.
LoadedModel load_model(const LoadRequest& request);

/// Names of the families that load_model knows (config.json's model_type).
std::vector<std::string> known_families();

/// fp32 values of the trainable range as the files have them, laid out like the arena (what masters start from);
/// undefined where the working weights are fp32 already.
at::Tensor initial_masters(const LoadedModel& loaded);

/// The entry's tensor in its file, or undefined for random weights.
at::Tensor source_of(const LoadedModel& loaded, const ArenaEntry& entry);

/// config.json for a folder whose weights have `dtype`: as it was read, with `dtype` (and the older `torch_dtype`) set.
core::Json config_to_save(const LoadedModel& loaded, at::ScalarType dtype);

}  // namespace txtsum::model
