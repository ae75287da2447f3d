#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "app/compute_device.h"
#include "app/experiment.h"
#include "app/run_folder.h"
#include "app/split_evaluation.h"
#include "txtsum/config/experiment_config.h"
#include "txtsum/data/data_report.h"
#include "txtsum/metrics/attempt_record.h"
#include "txtsum/parallel/communicator.h"
#include "txtsum/train/dataset_batches.h"
#include "txtsum/train/encoder_cache.h"
#include "txtsum/train/trainer.h"

namespace txtsum::app {

/// What a training reads; the same on every rank, but for its share of the batches.
struct TrainingInputs {
  ModelFiles files;
  std::optional<model::LoadedModel> loaded;
  generate::ResolvedSettings generation;
  data::LoadedDataset train_data;
  std::optional<data::LoadedDataset> validation_data, test_data;
  data::DataReport data_report;
  std::string data_fingerprint;
  std::unique_ptr<train::EncoderCache> encoder_cache;  ///< Null: the encoder runs. Made by fill_encoder_cache().
  // Made by trainer_parts().
  std::unique_ptr<train::DatasetBatches> batches;
  std::unique_ptr<train::DatasetMicroBatches> validation;  ///< Null without validation data.
};

/// Loads model and data.
TrainingInputs load_training(const config::ExperimentConfig& config, const ComputeDevice& device);

/// Refuses to go on with other data than `step_folder` was trained with.
void check_same_data(const std::string& step_folder, const TrainingInputs& inputs);

/// Everything in a trainer's settings that follows from config and data.
train::TrainerSettings trainer_settings(const TrainingInputs& inputs, const config::ExperimentConfig& config);

/// Where train.cache_encoder asks for it, opens the cache of the encoder's outputs and runs the encoder over what it
/// lacks; else nothing. All ranks call it, before their trainers are made.
std::optional<train::EncoderCacheFill> fill_encoder_cache(TrainingInputs& inputs,
                                                          const config::ExperimentConfig& config,
                                                          parallel::Communicator& ranks, const core::Clock& clock);

/// What a rank's trainer works on, without evaluator, folder writer and observers; refers to `inputs`.
train::TrainerParts trainer_parts(TrainingInputs& inputs, const config::ExperimentConfig& config,
                                  parallel::Communicator& ranks, const core::Clock& clock);

/// Generates for the validation split, each rank for its share of the documents, and scores; `on_work` hears what all
/// ranks did. Empty without validation data.
train::Evaluator evaluator_of(TrainingInputs& inputs, const config::ExperimentConfig& config,
                              parallel::Communicator& ranks, const core::Clock& clock,
                              std::function<void(const metrics::Work&)> on_work);

/// Whether a training ends with the test split.
inline bool scores_test_split(const TrainingInputs& inputs, const config::ExperimentConfig& config) {
  return config.test.generate && inputs.test_data.has_value();
}

/// Puts the finished model in the place of the trained one, to summarize the test split with.
SplitRequest load_test_split(TrainingInputs& inputs, const config::ExperimentConfig& config,
                             const ComputeDevice& device);

/// The other ranks' part of a training that rank 0 leads (TrainingRun): they train with it and write nothing.
void follow_training(const config::ExperimentConfig& config, const RunStart& start, parallel::Communicator& ranks,
                     const ComputeDevice& device, const core::Clock& clock);

}  // namespace txtsum::app
