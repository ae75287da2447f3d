#pragma once

#include <string>
#include <vector>

#include "sharding.h"
#include "txtsum/config/checkpoint_config.h"
#include "txtsum/io/safetensors_writer.h"
#include "txtsum/model/arena.h"
#include "txtsum/train/checkpoint.h"
#include "txtsum/train/optimizer.h"
#include "txtsum/train/trainer.h"

namespace txtsum::train {

inline constexpr const char* kTrainingStateFile = "training_state.json";
inline constexpr const char* kOptimizerFile = "optimizer.safetensors";

/// Writes step folders and reads them back. A folder is the same whatever the number of ranks and the stage: rank 0
/// writes it, and gathers what is spread; every rank reads its own part.
class Checkpointer {
 public:
  Checkpointer(const TrainerSettings& settings, FolderWriter write_folder, model::Arena& arena, Optimizer& optimizer,
               Sharding& sharding);

  /// Removes what a killed process left half written.
  void clean() const;
  /// Writes the folder of `state.update`, removes old ones, and returns its path. All ranks call it, and leave it when
  /// the folder is there.
  std::string save(const TrainingState& state) const;
  /// Puts weights, moments and numbers of `step_folder` back. Throws DataError when it is torn or belongs to another
  /// model, optimizer or freezing.
  TrainingState restore(const std::string& step_folder) const;

 private:
  std::string write(const TrainingState& state, const at::Tensor& masters,
                    const std::vector<io::NamedTensor>& moments) const;
  std::vector<io::NamedTensor> gathered_moments() const;
  void restore_weights(const std::string& step_folder) const;
  void restore_moments(const std::string& step_folder) const;

  std::string root_;
  io::PublishMode mode_;
  config::CheckpointConfig config_;
  FolderWriter write_folder_;
  model::Arena& arena_;
  Optimizer& optimizer_;
  Sharding& sharding_;
};

}  // namespace txtsum::train
