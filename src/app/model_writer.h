#pragma once

#include <string>

#include "app/experiment.h"
#include "app/run_folder.h"
#include "txtsum/config/experiment_config.h"
#include "txtsum/model/model_folder.h"

namespace txtsum::app {

/// transformers cuts larger weights into files of this size.
inline constexpr int64_t kMaxShardBytes = 5'000'000'000;

/// generation_config.json as the finished model should have it: the folder's, with what the experiment's section
/// generation sets in transformers' words, so that whoever loads the model generates alike.
core::Json merged_generation_config(const config::GenerationConfig& generation, const ModelFiles& files);

/// Makes `folder` (a step's) a whole Hugging Face folder: the trainable weights from `masters` in fp32, frozen ones in
/// their file's type, config.json, generation config, tokenizer, and the resolved config. Throws DataError.
void write_step_model(const std::string& folder, const at::Tensor& masters, const model::LoadedModel& loaded,
                      const ModelFiles& files, const config::ExperimentConfig& config);

/// Writes the finished model from a step's folder, in the type that model.save_precision says, without optimizer state.
/// A former one is replaced as a whole. Throws DataError.
void write_finished_model(const std::string& step_folder, const RunFolder& run, const ModelFiles& files,
                          const config::ExperimentConfig& config);

}  // namespace txtsum::app
