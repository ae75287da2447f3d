#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "txtsum/config/experiment_config.h"
#include "txtsum/metrics/carbon.h"
#include "txtsum/metrics/figure.h"
#include "txtsum/metrics/flops.h"
#include "txtsum/metrics/step_time.h"
#include "txtsum/model/model_outline.h"
#include "txtsum/train/batch_plan.h"
#include "txtsum/train/memory_plan.h"

// What a training would take, from its model's header and its data's lengths.

namespace txtsum::app {

/// A device to plan for.
struct PlannedDevice {
  std::string name;
  bool on_gpu = false;
  std::optional<int64_t> memory_bytes;  ///< All of it; none where it is not known.
  bool computes = true;                 ///< False where no data sheet has the card at train.precision.
  metrics::Figure peak;                 ///< TFLOP/s.
  metrics::Figure watts;                ///< At full work.
  std::optional<double> bytes_per_second;
};

/// train.recompute in the order of its choices.
inline constexpr std::array<config::Recompute, 2> kRecomputes{config::Recompute::kNone, config::Recompute::kBlocks};

/// A setting of parallel.zero_stage and offload.
struct PlannedStates {
  int64_t stage = 0;
  config::Offload offload = config::Offload::kNone;
  train::RankStates bytes;
};

/// A number of ranks.
struct PlannedRanks {
  int64_t ranks = 1;
  train::MicroBatchPlan batches;
  std::array<model::PassTokens, 2> tokens;  ///< Of the pass with the highest peak, by kRecomputes.
  std::array<model::PassBytes, 2> passes;
  std::vector<PlannedStates> states;

  /// Bytes of a rank's device at most.
  int64_t peak(const PlannedStates& setting, size_t recompute) const {
    return setting.bytes.device() + passes[recompute].peak;
  }
};

/// The config's own stage on a device.
struct PlannedRun {
  size_t device = 0, ranks = 0, recompute = 0;  ///< Numbers in the plan.
  bool fits = true;                             ///< True where the memory is not known.
  metrics::StepWork work;                       ///< Of an update.
  metrics::Figure update_seconds, seconds, energy_kwh, usd;
  metrics::CarbonEstimate carbon;
};

struct ResourcePlan {
  explicit ResourcePlan(model::ModelOutline described) : outline(std::move(described)) {}

  std::string model_folder;
  model::ModelOutline outline;
  int64_t parameters = 0, trainable_parameters = 0;
  at::ScalarType gradients = at::kFloat;
  int64_t examples = 0, source_tokens = 0, target_tokens = 0;
  train::UpdatePlan updates;
  metrics::TrainFlops epoch_flops;
  std::vector<PlannedDevice> devices;
  std::vector<PlannedRanks> ranks;
  std::vector<PlannedRun> runs;
};

struct PlanRequest {
  std::vector<int64_t> ranks{1};
  std::vector<std::string> cards;  ///< Empty: the device that the config takes, on this machine.
};

/// What is held back of a GPU's memory.
inline constexpr int64_t kReservedDeviceBytes = int64_t{1} << 30;

/// Whether a rank's `bytes` go into the device's memory; of ranks on a CPU all share the machine's.
bool fits(const PlannedDevice& device, int64_t bytes, int64_t ranks);

/// Reads config.json, the weights' header and the data; throws what training would throw for them, and UserError for a
/// card that no data sheet knows.
ResourcePlan plan_resources(const config::ExperimentConfig& config, const PlanRequest& request);

}  // namespace txtsum::app
