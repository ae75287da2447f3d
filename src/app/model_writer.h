#pragma once

#include <string>

#include "app/experiment.h"
#include "app/run_folder.h"
#include "txtsum/config/experiment_config.h"
#include "txtsum/model/model_folder.h"

namespace txtsum::app {

/// generation_config.json as the finished model should have it: the folder's, with what the experiment's section
/// generation sets in transformers' words, so that whoever loads the model generates alike.
core::Json merged_generation_config(const config::GenerationConfig& generation, const ModelFiles& files);

/// Adds to `folder` (a step's) what a Hugging Face folder has beside the weights: config.json, generation config,
/// tokenizer; and the resolved config. Throws DataError.
void write_step_files(const std::string& folder, const model::LoadedModel& loaded, const ModelFiles& files,
                      const config::ExperimentConfig& config);

/// Writes the finished model from a step's folder, in the type that model.save_precision says, without optimizer state:
/// one tensor at a time. `loaded` is of the same model, with any weights. A former one is replaced as a whole. Throws
/// DataError.
void write_finished_model(const std::string& step_folder, const RunFolder& run, const model::LoadedModel& loaded,
                          const ModelFiles& files, const config::ExperimentConfig& config);

}  // namespace txtsum::app
