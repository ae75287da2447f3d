#include "checkpointer.h"

#include <ATen/ATen.h>

#include <sstream>
#include <utility>
#include <vector>

#include "training_state.h"
#include "txtsum/core/check.h"
#include "txtsum/core/error.h"
#include "txtsum/core/log.h"
#include "txtsum/io/checkpoint_folder.h"
#include "txtsum/io/safetensors.h"
#include "txtsum/io/safetensors_writer.h"
#include "txtsum/io/weight_folder.h"

namespace txtsum::train {
namespace {

std::string shape_text(at::IntArrayRef shape) {
  std::ostringstream text;
  text << shape;
  return text.str();
}

/// Copies a tensor of a file into its place. `found` is undefined where the file lacks it.
void copy_checked(const at::Tensor& found, const at::Tensor& place, const std::string& file, const std::string& name) {
  if (found.sizes() != place.sizes()) {
    throw core::DataError(file + ": " + name + ": wanted shape " + shape_text(place.sizes()) + ", found " +
                          shape_text(found.sizes()));
  }
  place.copy_(found);
}

}  // namespace

Checkpointer::Checkpointer(const TrainerSettings& settings, FolderWriter write_folder, model::Arena& arena,
                           Optimizer& optimizer)
    : root_(settings.checkpoint_folder),
      mode_(settings.publish_mode),
      config_(settings.checkpoint),
      write_folder_(std::move(write_folder)),
      arena_(arena),
      optimizer_(optimizer) {
  TXTSUM_CHECK(write_folder_ != nullptr, "a training needs a folder writer");
}

void Checkpointer::clean() const {
  for (const std::string& path : io::remove_unfinished_checkpoints(root_)) {
    core::log_warning("removed " + path + ", which an earlier attempt had not finished");
  }
}

std::string Checkpointer::save(const TrainingState& state) const {
  io::CheckpointWriter writer(root_, state.update, mode_);
  write_folder_(writer.folder(), optimizer_.masters());
  if (config_.optimizer_state) {
    std::vector<io::NamedTensor> tensors;
    for (auto& [name, tensor] : optimizer_.state()) tensors.push_back({name, tensor});
    io::save_safetensors(writer.path(kOptimizerFile), tensors, io::pytorch_metadata(), io::PublishMode::kInPlace);
  }
  writer.write(kTrainingStateFile, to_text(state));
  const std::string folder = writer.publish();
  if (config_.keep_last) {
    std::vector<int64_t> protected_steps;
    if (state.best_update > 0) protected_steps.push_back(state.best_update);
    io::remove_old_checkpoints(root_, *config_.keep_last, protected_steps);
  }
  return folder;
}

TrainingState Checkpointer::restore(const std::string& step_folder) const {
  const at::NoGradGuard no_grad;
  io::verify_checkpoint(step_folder);
  TrainingState state = read_training_state(step_folder);
  restore_weights(step_folder);
  restore_moments(step_folder);
  return state;
}

void Checkpointer::restore_weights(const std::string& step_folder) const {
  const io::WeightFolder weights(step_folder);
  for (const model::ArenaEntry& entry : arena_.layout().entries()) {
    const at::Tensor found = weights.tensor(entry.name);
    if (!entry.frozen && found.scalar_type() != at::kFloat) {
      throw core::DataError(step_folder + ": weight " + entry.name + ": wanted fp32 to continue exactly, found " +
                            c10::toString(found.scalar_type()));
    }
    const at::Tensor place =
        entry.in_trainable_range ? model::Arena::entry_of(optimizer_.masters(), entry) : arena_.entry_values(entry);
    copy_checked(found, place, step_folder, entry.name);
  }
  optimizer_.publish_masters();
}

void Checkpointer::restore_moments(const std::string& step_folder) const {
  const io::SafetensorsFile file(step_folder + "/" + kOptimizerFile);
  const NamedState state = optimizer_.state();
  for (const auto& [name, place] : state) {
    if (file.find(name) == nullptr) {
      throw core::DataError(file.path() + ": " + name +
                            " is missing: the checkpoint was made with another optimizer or other frozen parameters");
    }
    copy_checked(file.tensor(name), place, file.path(), name);
  }
  if (file.entries().size() != state.size()) {
    throw core::DataError(file.path() + ": wanted " + std::to_string(state.size()) + " tensors, found " +
                          std::to_string(file.entries().size()) +
                          ": the checkpoint was made with another optimizer or other frozen parameters");
  }
}

}  // namespace txtsum::train
