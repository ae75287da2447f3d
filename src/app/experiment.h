#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "txtsum/app/hub_cache.h"
#include "txtsum/config/experiment_config.h"
#include "txtsum/core/json.h"
#include "txtsum/data/dataset_loader.h"
#include "txtsum/generate/settings.h"
#include "txtsum/metrics/flops.h"
#include "txtsum/metrics/rouge.h"
#include "txtsum/model/model_folder.h"
#include "txtsum/text/tokenizer.h"

namespace txtsum::app {

/// What a model folder holds beside its weights.
struct ModelFiles {
  ModelFolder folder;
  core::Json config;
  core::Json generation_config;  ///< Null where the folder has none.
  std::unique_ptr<text::Tokenizer> tokenizer;
};

/// Finds the folder that `argument` names and reads its small files. Throws UserError and DataError.
ModelFiles open_model_files(const std::string& argument, RequiredParts required = {});

at::ScalarType scalar_type(config::Precision precision);

/// What `config` asks of a model for training (init, freezing, dropout).
model::LoadRequest training_request(const ModelFiles& files, const config::ExperimentConfig& config);
/// Loads the weights as `config` asks for training (init, freezing, dropout).
model::LoadedModel load_for_training(const ModelFiles& files, const config::ExperimentConfig& config,
                                     const at::Device& device);
/// Loads the weights for generation alone.
model::LoadedModel load_for_generation(const ModelFiles& files, config::Precision precision, const at::Device& device);

/// Refuses ids that the model's vocabulary does not hold: DataError that names the model's folder.
void check_vocabulary(std::span<const int32_t> ids, const model::ModelFacts& facts, const std::string& folder);

/// Refuses limits that the model's positions cannot hold, with the value to set.
void check_lengths(const config::DataConfig& data, const model::ModelFacts& facts);

/// What config.json's task_specific_params say of summarizing, as settings that would apply it; empty where it says
/// nothing. They are not applied, as transformers does not.
std::string task_specific_note(const core::Json& config);

/// Settles section generation against the model's files; generation_warnings() says what to mind.
generate::ResolvedSettings resolve_generation(const config::GenerationConfig& generation, const ModelFiles& files,
                                              const model::ModelFacts& facts);

/// Which split of section data.
enum class Split { kTrain, kValidation, kTest };
const char* split_name(Split split);

/// Loads a split; its texts are kept for all but training. Throws UserError where section data names no file for it.
data::LoadedDataset load_split(const config::ExperimentConfig& config, Split split, const text::Tokenizer& tokenizer);

/// Uses run.threads from here on; returns how many there are.
int set_threads(int64_t threads);

/// Numbers for FLOPs.
metrics::EncoderDecoderShape shape_of(const model::ModelFacts& facts);
metrics::TrainableParts trainable_parts(const model::ModelFacts& facts, const model::ArenaLayout& layout);

metrics::RougeOptions rouge_options(const config::MetricsConfig& config, uint64_t seed);

}  // namespace txtsum::app
