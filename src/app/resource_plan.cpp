#include "app/resource_plan.h"

#include <algorithm>
#include <utility>

#include "app/experiment.h"
#include "app/run_ledger.h"
#include "txtsum/config/suggest.h"
#include "txtsum/core/error.h"
#include "txtsum/metrics/cost.h"
#include "txtsum/metrics/device_card.h"
#include "txtsum/metrics/host_sampler.h"
#include "txtsum/ops/device.h"

namespace txtsum::app {
namespace {

constexpr double kJoulesPerKwh = 3.6e6, kTera = 1e12, kGiga = 1e9, kSecondsPerMinute = 60.0;
constexpr const char* kSecondsUnit = "s";

metrics::Figure peak_of(const config::ExperimentConfig& config, const std::string& device_name, bool stated = true) {
  metrics::DevicePeakOptions options = stated ? device_peak_options(config.resources) : metrics::DevicePeakOptions();
  options.device_name = device_name;
  options.precision = config::name_of(config.train.precision);
  return metrics::find_device_peak(options);
}

PlannedDevice planned_card(const config::ExperimentConfig& config, const metrics::DeviceCard& card) {
  PlannedDevice device;
  device.name = card.name;
  device.on_gpu = true;
  device.memory_bytes = card.memory_bytes;
  device.bytes_per_second = card.bytes_per_second;
  device.computes = peak_of(config, card.driver_name, /*stated=*/false).known();
  device.peak = peak_of(config, card.driver_name);
  device.watts = config.resources.gpu_tdp_watts
                     ? metrics::modelled(*config.resources.gpu_tdp_watts, "W", "resources.gpu_tdp_watts")
                     : metrics::modelled(card.tdp_watts, "W", card.source, card.year);
  return device;
}

PlannedDevice named_card(const config::ExperimentConfig& config, const std::string& name) {
  if (const std::optional<metrics::DeviceCard> card = metrics::find_card(name)) return planned_card(config, *card);
  const std::vector<std::string> known = metrics::known_cards();
  std::string list;
  for (const std::string& each : known) list += (list.empty() ? "" : ", ") + each;
  const std::optional<std::string> closest = config::closest_word(name, known);
  throw core::UserError("--card " + name + ": no data sheet has it" +
                        (closest ? " (did you mean " + *closest + "?)" : std::string()) + "; known: " + list);
}

/// What the config would train on here.
PlannedDevice own_device(const config::ExperimentConfig& config) {
  PlannedDevice device;
  device.on_gpu = config.run.device == config::Device::kCuda;
  if (!device.on_gpu) {
    device.name = "cpu";
    device.memory_bytes = metrics::machine_memory_bytes();
    device.peak = peak_of(config, "");
    const std::optional<double> watts = config.resources.cpu_tdp_watts;
    device.watts = watts ? metrics::modelled(*watts, "W", "resources.cpu_tdp_watts")
                         : metrics::missing("W", "set resources.cpu_tdp_watts");
    return device;
  }
  const std::vector<ops::DeviceFacts> gpus = ops::visible_gpus();
  const std::optional<metrics::DeviceCard> card = gpus.empty() ? std::nullopt : metrics::find_card(gpus.front().name);
  if (card) {
    device = planned_card(config, *card);
  } else {
    const std::string way_out =
        gpus.empty() ? "there is no GPU here: name one by --card" : "no data sheet has this GPU";
    device.name = gpus.empty() ? "cuda" : gpus.front().name;
    device.peak = metrics::missing("TFLOP/s", way_out);
    device.watts = metrics::missing("W", way_out);
  }
  if (!gpus.empty()) device.memory_bytes = gpus.front().memory_bytes;
  return device;
}

PlannedRanks plan_ranks(const ResourcePlan& plan, const config::ExperimentConfig& config, const data::Dataset& dataset,
                        int64_t ranks, bool on_gpu) {
  PlannedRanks planned;
  planned.ranks = ranks;
  planned.batches = train::plan_micro_batches(dataset, config.train, static_cast<uint64_t>(config.run.seed), ranks,
                                              plan.outline.facts, on_gpu);
  const at::ScalarType weights = scalar_type(config.train.precision);
  for (size_t i = 0; i < kRecomputes.size(); ++i) {
    for (const model::PassTokens& tokens : planned.batches.largest) {
      const model::PassOptions options{weights, plan.gradients, on_gpu, kRecomputes[i] == config::Recompute::kBlocks};
      const model::PassBytes bytes = model::pass_bytes(plan.outline, tokens, options);
      if (bytes.peak <= planned.passes[i].peak) continue;
      planned.passes[i] = bytes;
      planned.tokens[i] = tokens;
    }
  }
  const bool shares = config.optimizer.name == config::OptimizerName::kAdamW;
  for (const config::Offload offload :
       {config::Offload::kNone, config::Offload::kOptimizer, config::Offload::kOptimizerAndParameters}) {
    if (offload != config::Offload::kNone && (!on_gpu || !shares)) continue;
    for (int64_t stage = offload == config::Offload::kOptimizerAndParameters ? 3 : 0; stage <= (shares ? 3 : 0);
         ++stage) {
      const train::StateSetting setting{stage, ranks, offload, weights, plan.gradients};
      planned.states.push_back({stage, offload, train::plan_states(plan.outline.layout, config.optimizer, setting)});
    }
  }
  return planned;
}

const PlannedStates& states_of(const PlannedRanks& ranks, const config::ParallelConfig& parallel, bool on_gpu) {
  const config::Offload offload = on_gpu ? parallel.offload : config::Offload::kNone;
  return *std::find_if(ranks.states.begin(), ranks.states.end(), [&](const PlannedStates& states) {
    return states.stage == parallel.zero_stage && states.offload == offload;
  });
}

/// An update of the rank that has most to do.
metrics::StepWork work_of(const ResourcePlan& plan, const config::ExperimentConfig& config, const PlannedRanks& ranks,
                          size_t recompute, bool on_gpu) {
  const bool again = kRecomputes[recompute] == config::Recompute::kBlocks;
  const auto updates = static_cast<double>(plan.updates.updates_in_epoch), n = static_cast<double>(ranks.ranks);
  const double share = ranks.batches.longest_share / (updates * n);
  const double filled = static_cast<double>(ranks.batches.padded_tokens) / static_cast<double>(ranks.batches.tokens);
  metrics::StepWork work;
  work.flops = (plan.epoch_flops.total() + (again ? plan.epoch_flops.forward : 0.0)) * share * filled;
  work.passes = ranks.batches.in_update;
  const auto tokens_of = [&](int64_t in_epoch) {
    return static_cast<int64_t>(static_cast<double>(in_epoch) * share * filled / work.passes);
  };
  const model::PassTokens mean{tokens_of(plan.source_tokens), tokens_of(plan.target_tokens), tokens_of(plan.examples)};
  const at::ScalarType weights = scalar_type(config.train.precision);
  const model::PassBytes bytes = model::pass_bytes(plan.outline, mean, {weights, plan.gradients, on_gpu, false});
  work.activation_bytes = static_cast<double>(bytes.kept) * work.passes * (again ? 1.5 : 1.0);
  // AdamW reads masters, moments and gradients and writes masters, moments and weights; the norm reads gradients.
  const auto w = static_cast<double>(c10::elementSize(weights)),
             g = static_cast<double>(c10::elementSize(plan.gradients));
  const auto elements = static_cast<double>(plan.outline.layout.trainable_numel());
  const bool shared_out = config.parallel.zero_stage > 0;
  const double norm = elements * g, update = elements * (24.0 + g + (w < 4 ? w : 0.0));
  const bool offloads = on_gpu && config.parallel.offload != config::Offload::kNone;
  work.state_bytes = (norm + (offloads ? 0.0 : update)) / (shared_out ? n : 1.0);
  if (offloads) work.host_bytes = update * (shared_out ? 1.0 : n);
  work.goes_along = offloads && !config.train.needs_norm();
  // Gradients to their ranks, and gradients or weights back, at every micro-batch from where they have no other place.
  const double often = config.parallel.zero_stage >= 2 ? work.passes : 1.0;
  const double back = config.parallel.zero_stage == 0 ? g : config.parallel.zero_stage < 3 ? w : 2 * w * work.passes;
  work.sent_bytes = elements * (n - 1) / n * (g * often + back);
  return work;
}

/// Fills in time, energy, carbon and cost.
void estimate(const ResourcePlan& plan, const config::ExperimentConfig& config, PlannedRun& run) {
  const PlannedDevice& device = plan.devices[run.device];
  const auto ranks = static_cast<double>(plan.ranks[run.ranks].ranks);
  std::optional<metrics::StepTime> update;
  const std::optional<double> host = config.resources.host_gb_per_second;
  std::string problem = device.peak.note;
  if (device.peak.known() && !device.bytes_per_second && device.on_gpu) {
    problem = "the speed of its memory is not known: name a card by --card";
  } else if (device.peak.known() && !host && run.work.host_bytes > 0) {
    problem = "set resources.host_gb_per_second for offloaded updates";
  } else if (device.peak.known()) {
    update = metrics::step_time(
        run.work, {*device.peak.value * kTera, device.bytes_per_second.value_or(0.0), host.value_or(0.0) * kGiga});
  }
  run.update_seconds = update ? metrics::modelled(update->total(), kSecondsUnit, device.peak.source, device.peak.year)
                              : metrics::missing(kSecondsUnit, problem);
  std::optional<double> seconds;
  if (update && plan.updates.total_updates)
    seconds = update->total() * static_cast<double>(*plan.updates.total_updates);
  if (config.train.max_minutes) {
    const double limit = *config.train.max_minutes * kSecondsPerMinute;
    seconds = std::min(seconds.value_or(limit), limit);
  }
  run.seconds = seconds ? metrics::modelled(*seconds, kSecondsUnit, device.peak.source, device.peak.year)
                        : metrics::missing(kSecondsUnit, problem);
  const double waited = update && update->total() > 0 ? update->host / update->total() : 0.0;
  const double machines = (device.on_gpu ? ranks : 1.0) * (1.0 - waited * (1.0 - metrics::kWaitingPower));
  const double beside = config.resources.constant_watts.value_or(0.0);
  const bool shares_known = update || run.work.host_bytes == 0;  // of the GPU and of its host in the time
  if (seconds && device.watts.known() && shares_known) {
    run.energy_kwh = metrics::modelled((*device.watts.value * machines + beside) * *seconds / kJoulesPerKwh, "kWh",
                                       device.watts.source, device.watts.year);
  } else {
    const std::string& why = !seconds ? run.seconds.note : shares_known ? device.watts.note : problem;
    run.energy_kwh = metrics::missing("kWh", why);
  }
  run.carbon =
      metrics::estimate_carbon(run.energy_kwh, metrics::find_carbon_intensity(carbon_options(config.resources)));
  const metrics::Figure price = metrics::find_price(cost_options(config.resources));
  run.usd = seconds ? metrics::estimate_cost(*seconds, price, 1) : metrics::missing("USD", run.seconds.note);
}

}  // namespace

bool fits(const PlannedDevice& device, int64_t bytes, int64_t ranks) {
  if (!device.memory_bytes) return true;
  if (!device.on_gpu) return bytes * ranks <= *device.memory_bytes;
  return bytes + kReservedDeviceBytes <= *device.memory_bytes;
}

ResourcePlan plan_resources(const config::ExperimentConfig& config, const PlanRequest& request) {
  std::vector<PlannedDevice> devices;
  for (const std::string& card : request.cards) devices.push_back(named_card(config, card));
  if (devices.empty()) devices.push_back(own_device(config));

  const ModelFiles files = open_model_files(
      config.model.checkpoint, {.weights = config.model.init == config::ModelInit::kPretrained, .tokenizer = true});
  ResourcePlan plan(model::outline_model(training_request(files, config)));
  plan.model_folder = files.folder.path;
  plan.devices = std::move(devices);
  check_lengths(config.data, plan.outline.facts);
  for (const model::ArenaEntry& entry : plan.outline.layout.entries()) {
    plan.parameters += entry.numel;
    plan.trainable_parameters += entry.frozen ? 0 : entry.numel;
  }

  const data::LoadedDataset loaded = load_split(config, Split::kTrain, *files.tokenizer);
  const data::Dataset& dataset = loaded.dataset;
  plan.examples = dataset.size();
  metrics::LengthSums sums;
  for (int64_t example = 0; example < dataset.size(); ++example) {
    metrics::LengthSums own;
    own.add(dataset.source_length(example), dataset.target_length(example));
    own.source_pairs = model::source_pairs(plan.outline.facts, dataset.source_length(example));
    sums += own;
  }
  plan.source_tokens = sums.source_tokens;
  plan.target_tokens = sums.target_tokens;
  plan.epoch_flops = metrics::train_flops(shape_of(plan.outline.facts), sums,
                                          trainable_parts(plan.outline.facts, plan.outline.layout));
  plan.updates = train::plan_updates(dataset, config.train, static_cast<uint64_t>(config.run.seed));
  const bool narrow = config.train.precision != config::Precision::kFp32;
  if (narrow && plan.updates.one_micro_batch) plan.gradients = scalar_type(config.train.precision);

  const bool on_gpu = plan.devices.front().on_gpu;
  for (const int64_t ranks : request.ranks) {
    plan.ranks.push_back(plan_ranks(plan, config, dataset, ranks, on_gpu));
    const PlannedRanks& planned = plan.ranks.back();
    for (size_t device = 0; device < plan.devices.size(); ++device) {
      for (size_t recompute = 0; recompute < kRecomputes.size(); ++recompute) {
        PlannedRun run;
        run.device = device;
        run.ranks = plan.ranks.size() - 1;
        run.recompute = recompute;
        run.fits =
            fits(plan.devices[device], planned.peak(states_of(planned, config.parallel, on_gpu), recompute), ranks);
        run.work = work_of(plan, config, planned, recompute, on_gpu);
        estimate(plan, config, run);
        plan.runs.push_back(std::move(run));
      }
    }
  }
  return plan;
}

}  // namespace txtsum::app
