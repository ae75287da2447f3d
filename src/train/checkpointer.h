#pragma once

#include <functional>
#include <string>
#include <vector>

#include "sharding.h"
#include "spread_file.h"
#include "txtsum/config/checkpoint_config.h"
#include "txtsum/io/checkpoint_folder.h"
#include "txtsum/model/arena.h"
#include "txtsum/train/checkpoint.h"
#include "txtsum/train/optimizer.h"
#include "txtsum/train/trainer.h"

namespace txtsum::train {

inline constexpr const char* kTrainingStateFile = "training_state.json";
inline constexpr const char* kOptimizerFile = "optimizer.safetensors";

/// Writes step folders and reads them back. A folder is the same whatever the number of ranks and the stage: every rank
/// writes what it has, at its place, and reads its own part. Where files have to be written whole (publishing in place)
/// rank 0 writes, and is handed one piece after the other.
class Checkpointer {
 public:
  /// `parts`: the model, its sources and the folder writer; they must outlive it.
  Checkpointer(const TrainerSettings& settings, const TrainerParts& parts, Optimizer& optimizer, Sharding& sharding);

  /// Removes what a killed process left half written.
  void clean() const;
  /// Writes the folder of `state.update`, removes old ones, and returns its path. All ranks call it, and leave it when
  /// the folder is there. Throws DataError on all where one could not write; earlier checkpoints are then as they were.
  std::string save(const TrainingState& state) const;
  /// Puts weights, moments and numbers of `step_folder` back. Throws DataError when it is torn or belongs to another
  /// model, optimizer or freezing.
  TrainingState restore(const std::string& step_folder) const;

 private:
  std::vector<SpreadTensor> weights() const;
  std::vector<SpreadTensor> moments() const;
  SpreadTensor spread(io::TensorDeclaration declaration, const model::ArenaEntry& entry, const at::Tensor& local) const;
  std::string agreed(const std::function<std::string()>& work) const;
  std::string at_first(const std::function<std::string()>& work) const;
  std::string publish(io::CheckpointWriter& writer, const TrainingState& state) const;
  void restore_weights(const std::string& step_folder) const;
  void restore_moments(const std::string& step_folder) const;

  std::string root_;
  io::PublishMode mode_;
  config::CheckpointConfig config_;
  int64_t max_shard_bytes_;
  const TrainerParts& parts_;
  model::Arena& arena_;
  Optimizer& optimizer_;
  Sharding& sharding_;
};

}  // namespace txtsum::train
