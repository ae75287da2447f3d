#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "txtsum/config/checkpoint_config.h"
#include "txtsum/config/optimizer_config.h"
#include "txtsum/config/parallel_config.h"
#include "txtsum/config/schedule_config.h"
#include "txtsum/config/train_config.h"
#include "txtsum/config/validation_config.h"
#include "txtsum/core/clock.h"
#include "txtsum/io/publish_mode.h"
#include "txtsum/io/safetensors_layout.h"
#include "txtsum/model/seq2seq_model.h"
#include "txtsum/parallel/communicator.h"
#include "txtsum/train/batch_source.h"
#include "txtsum/train/observer.h"

namespace txtsum::train {

/// Measures the model as it is now by generating; returns named metrics (`rouge1`, ...; larger is better). Supplied by
/// app.
using Evaluator = std::function<std::vector<std::pair<std::string, double>>(int64_t update)>;

/// Adds to a step's folder, beside the weights, what makes it a whole Hugging Face folder: config.json, tokenizer,
/// generation config, and whatever app wants to find again at a resume. Called on rank 0, before checksums and DONE.
/// `optimizer.safetensors`, `training_state.json` and the names of weight files are taken. Throws DataError.
using FolderWriter = std::function<void(const std::string& folder)>;

/// The config's sections that a training follows (completed), and what belongs to the run.
struct TrainerSettings {
  config::TrainConfig train;
  config::OptimizerConfig optimizer;
  config::ScheduleConfig schedule;
  config::ValidationConfig validation;
  config::CheckpointConfig checkpoint;
  config::EarlyStoppingConfig early_stopping;
  config::ParallelConfig parallel;
  uint64_t seed = 42;
  std::string checkpoint_folder;  ///< `RUN/checkpoints`; step folders are made in it.
  std::string resume_from;        ///< Step folder to continue; empty: start anew. See find_checkpoint.
  io::PublishMode publish_mode = io::PublishMode::kRename;
  int64_t max_shard_bytes = io::kMaxShardBytes;  ///< Larger weights are saved in several files.
  std::string config_fingerprint;                ///< Kept in the checkpoint for app to compare.
  std::string resume_hint;                       ///< Ends the message of a stop by signal: `resume with ...`.
};

/// What a training works on. References must outlive the trainer. Of several ranks each has a trainer of its own; their
/// settings are the same, and batches are each rank's share.
struct TrainerParts {
  model::Seq2SeqModel& model;  ///< Its arena's type is the working type; gradients are allocated by the trainer.
  BatchSource& batches;
  parallel::Communicator& communicator;
  const core::Clock& clock;
  MicroBatchSource* validation = nullptr;  ///< Null: no validation loss.
  Evaluator evaluator;                     ///< Empty: no generated metrics.
  FolderWriter write_folder;               ///< Required.
  at::Tensor initial_masters;              ///< See make_optimizer.
  std::vector<at::Tensor> sources;         ///< See LoadedModel: what frozen weights are saved as; empty: as they are.
  std::vector<TrainObserver*> observers;
};

/// Trains a model: for each global batch: its micro-batches forward, loss, backward; then norm, clip, update, schedule,
/// notify; validates and saves when due; leaves when the limits are reached, when the metric has stopped getting
/// better, or when a signal asks for it. Validation and a save also happen at the end.
class Trainer {
 public:
  Trainer(TrainerSettings settings, TrainerParts parts);
  ~Trainer();

  /// Runs to the end. Throws core::StoppedBySignal after saving, and core::DataError before an update whose loss or
  /// gradient norm is not finite. The model then holds the last weights (not the best).
  TrainOutcome run();

 private:
  class Loop;
  std::unique_ptr<Loop> loop_;
};

}  // namespace txtsum::train
