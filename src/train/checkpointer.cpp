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

/// Checks a tensor of a file, which is undefined where the file lacks it.
void check_shape(const at::Tensor& found, at::IntArrayRef wanted, const std::string& file, const std::string& name) {
  if (found.sizes() == wanted) return;
  throw core::DataError(file + ": " + name + ": wanted shape " + shape_text(wanted) + ", found " +
                        shape_text(found.sizes()));
}

}  // namespace

Checkpointer::Checkpointer(const TrainerSettings& settings, FolderWriter write_folder, model::Arena& arena,
                           Optimizer& optimizer, Sharding& sharding)
    : root_(settings.checkpoint_folder),
      mode_(settings.publish_mode),
      config_(settings.checkpoint),
      write_folder_(std::move(write_folder)),
      arena_(arena),
      optimizer_(optimizer),
      sharding_(sharding) {
  TXTSUM_CHECK(write_folder_ != nullptr, "a training needs a folder writer");
}

void Checkpointer::clean() const {
  if (sharding_.communicator().rank() == 0) {
    for (const std::string& path : io::remove_unfinished_checkpoints(root_)) {
      core::log_warning("removed " + path + ", which an earlier attempt had not finished");
    }
  }
  sharding_.communicator().barrier();
}

std::string Checkpointer::save(const TrainingState& state) const {
  sharding_.communicator().set_phase(state.update, "save");
  const WholeWeights whole(sharding_);  // frozen weights are saved from where they are used
  const at::Tensor masters = sharding_.gathered(optimizer_.masters());
  std::vector<io::NamedTensor> moments;
  if (config_.optimizer_state) moments = gathered_moments();
  // A collective that another rank has given up may have left wrong numbers: nothing is written before all say that
  // they are well.
  sharding_.communicator().barrier();
  std::string folder;
  if (sharding_.communicator().rank() == 0) folder = write(state, masters, moments);
  return sharding_.communicator().gather_bytes(folder).front();
}

std::vector<io::NamedTensor> Checkpointer::gathered_moments() const {
  std::vector<io::NamedTensor> tensors;
  if (sharding_.whole()) {
    for (const StatePart& part : optimizer_.state()) tensors.push_back({part.name, part.values.view(part.shape)});
    return tensors;
  }
  for (const auto& [kind, moment] : optimizer_.moments()) {
    const at::Tensor whole = sharding_.gathered(moment);
    for (const model::ArenaEntry& entry : arena_.layout().entries()) {
      const bool learns = entry.in_trainable_range && !entry.frozen;
      if (whole.defined() && learns) tensors.push_back({kind + "/" + entry.name, model::Arena::entry_of(whole, entry)});
    }
  }
  return tensors;
}

std::string Checkpointer::write(const TrainingState& state, const at::Tensor& masters,
                                const std::vector<io::NamedTensor>& moments) const {
  io::CheckpointWriter writer(root_, state.update, mode_);
  write_folder_(writer.folder(), masters);
  if (config_.optimizer_state) {
    io::save_safetensors(writer.path(kOptimizerFile), moments, io::pytorch_metadata(), io::PublishMode::kInPlace);
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
    check_shape(found, entry.shape, step_folder, entry.name);
    // Where weights are spread, frozen ones are those that the model was loaded with.
    if (!entry.in_trainable_range && arena_.values().defined()) arena_.entry_values(entry).copy_(found);
  }
  for (const SpacePiece& piece : sharding_.space().pieces) {
    const at::Tensor found = weights.tensor(piece.entry->name).reshape({-1}).narrow(0, piece.begin, piece.numel);
    optimizer_.masters().narrow(0, piece.local, piece.numel).copy_(found);
  }
  optimizer_.publish_masters();
  sharding_.weights_changed();
}

void Checkpointer::restore_moments(const std::string& step_folder) const {
  const io::SafetensorsFile file(step_folder + "/" + kOptimizerFile);
  const auto refuse = [&](const std::string& what) {
    throw core::DataError(file.path() + ": " + what +
                          ": the checkpoint was made with another optimizer or other frozen parameters");
  };
  size_t wanted = 0;
  const std::vector<StatePart> state = optimizer_.state();
  for (const StatePart& part : state) {
    if (file.find(part.name) == nullptr) refuse(part.name + " is missing");
    const at::Tensor found = file.tensor(part.name);
    check_shape(found, part.shape, file.path(), part.name);
    at::Tensor(part.values).copy_(found.reshape({-1}).narrow(0, part.begin, part.values.numel()));
  }
  if (sharding_.whole()) {
    wanted = state.size();
  } else {
    for (const model::ArenaEntry& entry : arena_.layout().entries()) {
      if (entry.in_trainable_range && !entry.frozen) wanted += optimizer_.moments().size();
    }
  }
  if (file.entries().size() != wanted) {
    refuse("wanted " + std::to_string(wanted) + " tensors, found " + std::to_string(file.entries().size()));
  }
}

}  // namespace txtsum::train
