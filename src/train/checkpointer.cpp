#include "checkpointer.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <optional>
#include <sstream>
#include <utility>
#include <vector>

#include "training_state.h"
#include "txtsum/core/check.h"
#include "txtsum/core/error.h"
#include "txtsum/core/log.h"
#include "txtsum/io/checkpoint_folder.h"
#include "txtsum/io/safetensors.h"
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

Checkpointer::Checkpointer(const TrainerSettings& settings, const TrainerParts& parts, Optimizer& optimizer,
                           Sharding& sharding)
    : root_(settings.checkpoint_folder),
      mode_(settings.publish_mode),
      config_(settings.checkpoint),
      max_shard_bytes_(settings.max_shard_bytes),
      parts_(parts),
      arena_(parts.model.arena()),
      optimizer_(optimizer),
      sharding_(sharding) {
  TXTSUM_CHECK(parts_.write_folder != nullptr, "a training needs a folder writer");
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
  parallel::Communicator& ranks = sharding_.communicator();
  ranks.set_phase(state.update, "save");
  const std::vector<SpreadTensor> weights = this->weights();
  const std::vector<SpreadTensor> moments = config_.optimizer_state ? this->moments() : std::vector<SpreadTensor>();
  io::ModelLayout model = io::lay_out_model(declarations_of(weights), max_shard_bytes_);
  std::vector<SpreadFile> files;
  for (io::FileLayout& layout : model.files) files.push_back({std::move(layout), weights});
  if (config_.optimizer_state) files.push_back({io::lay_out_file(kOptimizerFile, declarations_of(moments)), moments});

  // Nothing is written before all say that they are well, and nothing is published before all have written.
  std::optional<io::CheckpointWriter> writer;
  const bool together = mode_ == io::PublishMode::kRename;
  const std::string folder = at_first([&] {
    writer.emplace(root_, state.update, mode_);
    parts_.write_folder(writer->folder());
    if (!model.index.empty()) writer->write(io::kWeightIndexFile, model.index);
    writer->write(kTrainingStateFile, to_text(state));
    for (const SpreadFile& file : files) {
      if (together) make_room(writer->folder(), file);
    }
    return writer->folder();
  });
  agreed([&] {
    // All files come by on all ranks, whatever happened to one of them here.
    std::optional<core::DataError> problem;
    for (const SpreadFile& file : files) {
      try {
        together ? write_pieces_of(ranks.rank(), folder, file) : write_through_first(ranks, folder, file);
      } catch (const core::DataError& error) {
        if (!problem) problem = error;
      }
    }
    if (problem) throw core::DataError(*problem);
    return std::string();
  });
  return at_first([&] { return publish(*writer, state); });
}

std::string Checkpointer::publish(io::CheckpointWriter& writer, const TrainingState& state) const {
  std::string folder = writer.publish();
  if (config_.keep_last) {
    // The one just written too: where a training goes on from an earlier step, newer numbers may be there.
    std::vector<int64_t> protected_steps{state.update};
    if (state.best_update > 0) protected_steps.push_back(state.best_update);
    io::remove_old_checkpoints(root_, *config_.keep_last, protected_steps);
  }
  return folder;
}

/// Does the rank's part of something that all do or none: what one throws, all throw. Returns rank 0's answer.
std::string Checkpointer::agreed(const std::function<std::string()>& work) const {
  parallel::Communicator& ranks = sharding_.communicator();
  if (ranks.world() == 1) return work();
  constexpr char kWell = '+', kProblem = '-';
  std::string own;
  try {
    own = kWell + work();
  } catch (const core::DataError& error) {
    own = kProblem + std::string(error.what());
  }
  const std::vector<std::string> all = ranks.gather_bytes(own);
  for (size_t rank = 0; rank < all.size(); ++rank) {
    if (all[rank].front() == kWell) continue;
    throw core::DataError("rank " + std::to_string(rank) + " of " + std::to_string(all.size()) + ": " +
                          all[rank].substr(1) + "; checkpoints saved before are whole");
  }
  return all.front().substr(1);
}

std::string Checkpointer::at_first(const std::function<std::string()>& work) const {
  return agreed([&] { return sharding_.communicator().rank() == 0 ? work() : std::string(); });
}

/// What the ranks have of a parameter in tensors like `local`.
SpreadTensor Checkpointer::spread(io::TensorDeclaration declaration, const model::ArenaEntry& entry,
                                  const at::Tensor& local) const {
  SpreadTensor tensor{std::move(declaration), {}};
  for (const HeldStretch& held : sharding_.holders(entry)) {
    const bool own = held.rank == sharding_.communicator().rank();
    tensor.pieces.push_back(
        {held.rank, held.begin, held.numel, own ? local.narrow(0, held.local, held.numel) : at::Tensor()});
  }
  return tensor;
}

/// Trainable weights are saved as masters, frozen ones in the type of their source.
std::vector<SpreadTensor> Checkpointer::weights() const {
  std::vector<SpreadTensor> tensors;
  const auto add_whole = [&](io::TensorDeclaration declaration, const at::Tensor& values) {
    tensors.push_back({std::move(declaration), {{0, 0, values.numel(), values.reshape({-1})}}});
  };
  const std::vector<model::ArenaEntry>& entries = arena_.layout().entries();
  for (size_t i = 0; i < entries.size(); ++i) {
    const model::ArenaEntry& entry = entries[i];
    const at::Tensor source = entry.frozen && !parts_.sources.empty() ? parts_.sources[i] : at::Tensor();
    io::TensorDeclaration declaration{entry.name, entry.shape, source.defined() ? source.scalar_type() : at::kFloat};
    if (entry.in_trainable_range) {
      tensors.push_back(spread(std::move(declaration), entry, optimizer_.masters()));
    } else if (source.defined()) {
      add_whole(std::move(declaration), source);
    } else {
      tensors.push_back(spread(std::move(declaration), entry, sharding_.frozen_values()));
    }
  }
  for (const auto& [name, values] : parts_.model.buffers()) {
    add_whole({name, values.sizes().vec(), at::kFloat, /*is_parameter=*/false}, values);
  }
  std::sort(tensors.begin(), tensors.end(),
            [](const SpreadTensor& a, const SpreadTensor& b) { return a.declaration.name < b.declaration.name; });
  return tensors;
}

std::vector<SpreadTensor> Checkpointer::moments() const {
  std::vector<SpreadTensor> tensors;
  if (sharding_.whole()) {
    for (const StatePart& part : optimizer_.state()) {
      tensors.push_back({{part.name, part.shape}, {{0, 0, part.values.numel(), part.values}}});
    }
    return tensors;
  }
  for (const auto& [kind, moment] : optimizer_.moments()) {
    for (const model::ArenaEntry& entry : arena_.layout().entries()) {
      const bool learns = entry.in_trainable_range && !entry.frozen;
      if (learns) tensors.push_back(spread({kind + "/" + entry.name, entry.shape}, entry, moment));
    }
  }
  return tensors;
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
