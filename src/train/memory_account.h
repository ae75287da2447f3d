#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "txtsum/ops/device.h"
#include "update_step.h"

namespace txtsum::train {

/// Where the memory of a training goes, in bytes. States are those where the model is.
struct MemoryAccount {
  int64_t weights = 0, gradients = 0, masters = 0, moments = 0;
  int64_t offloaded = 0;                    ///< Of states in host memory beside a GPU.
  int64_t logits = 0;                       ///< Of the rows that one chunk of the loss holds.
  std::optional<ops::DeviceMemory> device;  ///< None on a CPU.

  int64_t states() const { return weights + gradients + masters + moments; }
  /// What tensors held at the peak beside the states.
  int64_t activations() const { return device ? device->peak_bytes - states() : 0; }
};

/// The shape of the work that memory ran out in.
struct MemoryRequest {
  std::string asked;  ///< What could not be had; may be empty.
  int64_t update = 0;
  int64_t micro_batch_tokens = 0;  ///< Of the largest micro-batch.
  int64_t layers = 0, width = 0, element_bytes = 0;
  bool recomputes = false, narrow = false;
  int64_t offloadable = 0;  ///< Of masters and moments that parallel.offload=optimizer would move.
};

MemoryAccount account_of(const UpdateParts& parts);
RankWork rank_work_of(const UpdateParts& parts);

/// What was asked, where the peak went, and which setting lowers it by how much.
std::string out_of_memory_text(const MemoryAccount& account, const MemoryRequest& request);

/// The same of an update that is under way.
std::string out_of_memory_text(const UpdateParts& parts, const GlobalBatch& batch, int64_t update,
                               const std::string& asked);

}  // namespace txtsum::train
