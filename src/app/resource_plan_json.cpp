#include "app/resource_plan_text.h"
#include "txtsum/config/field.h"

namespace txtsum::app {
namespace {

core::Json json_of(const model::PassBytes& pass, const model::PassTokens& tokens) {
  return {{"kept_bytes", pass.kept},        {"logits_bytes", pass.logits},    {"peak_bytes", pass.peak},
          {"source_tokens", tokens.source}, {"target_tokens", tokens.target}, {"sequences", tokens.sequences}};
}

core::Json json_of(const ResourcePlan& plan, const PlannedRanks& ranks) {
  core::Json json{{"ranks", ranks.ranks}, {"micro_batches_in_update", ranks.batches.in_update}};
  for (size_t i = 0; i < kRecomputes.size(); ++i) {
    json["activations"][std::string(config::name_of(kRecomputes[i]))] = json_of(ranks.passes[i], ranks.tokens[i]);
  }
  json["settings"] = core::Json::array();
  for (const PlannedStates& states : ranks.states) {
    const train::RankStates& bytes = states.bytes;
    for (size_t i = 0; i < kRecomputes.size(); ++i) {
      core::Json setting{{"zero_stage", states.stage},
                         {"offload", config::name_of(states.offload)},
                         {"recompute", config::name_of(kRecomputes[i])},
                         {"weights_bytes", bytes.weights},
                         {"gradients_bytes", bytes.gradients},
                         {"masters_bytes", bytes.masters},
                         {"moments_bytes", bytes.moments},
                         {"slots_bytes", bytes.slots()},
                         {"host_bytes", bytes.host},
                         {"activations_bytes", ranks.passes[i].peak},
                         {"peak_bytes", ranks.peak(states, i)},
                         {"fits", core::Json::object()}};
      for (const PlannedDevice& device : plan.devices) {
        if (!device.memory_bytes) continue;
        setting["fits"][device.name] = device.computes && fits(device, ranks.peak(states, i), ranks.ranks);
      }
      json["settings"].push_back(std::move(setting));
    }
  }
  return json;
}

}  // namespace

core::Json to_json(const ResourcePlan& plan, const config::ExperimentConfig& config) {
  core::Json json{{"model",
                   {{"folder", plan.model_folder},
                    {"family", plan.outline.facts.family},
                    {"parameters", plan.parameters},
                    {"trainable_parameters", plan.trainable_parameters}}},
                  {"training",
                   {{"examples", plan.examples},
                    {"source_tokens", plan.source_tokens},
                    {"target_tokens", plan.target_tokens},
                    {"updates_in_epoch", plan.updates.updates_in_epoch},
                    {"total_updates", nullptr},
                    {"epochs", plan.updates.epochs},
                    {"flops_in_epoch", plan.epoch_flops.total()},
                    {"precision", config::name_of(config.train.precision)},
                    {"gradients", precision_name(plan.gradients)}}}};
  if (plan.updates.total_updates) json["training"]["total_updates"] = *plan.updates.total_updates;
  json["devices"] = core::Json::array();
  for (const PlannedDevice& device : plan.devices) {
    core::Json each{{"name", device.name},
                    {"memory_bytes", nullptr},
                    {"peak", metrics::to_json(device.peak)},
                    {"watts", metrics::to_json(device.watts)}};
    if (device.memory_bytes) each["memory_bytes"] = *device.memory_bytes;
    json["devices"].push_back(std::move(each));
  }
  json["memory"] = core::Json::array();
  for (const PlannedRanks& ranks : plan.ranks) json["memory"].push_back(json_of(plan, ranks));
  json["runs"] = core::Json::array();
  for (const PlannedRun& run : plan.runs) {
    core::Json each{{"device", plan.devices[run.device].name},
                    {"ranks", plan.ranks[run.ranks].ranks},
                    {"zero_stage", config.parallel.zero_stage},
                    {"offload", config::name_of(config.parallel.offload)},
                    {"recompute", config::name_of(kRecomputes[run.recompute])},
                    {"fits", nullptr},
                    {"work",
                     {{"flops", run.work.flops},
                      {"activation_bytes", run.work.activation_bytes},
                      {"state_bytes", run.work.state_bytes},
                      {"passes", run.work.passes},
                      {"sent_bytes", run.work.sent_bytes},
                      {"host_bytes", run.work.host_bytes},
                      {"goes_along", run.work.goes_along}}},
                    {"update_seconds", metrics::to_json(run.update_seconds)},
                    {"seconds", metrics::to_json(run.seconds)},
                    {"energy_kwh", metrics::to_json(run.energy_kwh)},
                    {"grams_low", metrics::to_json(run.carbon.low_grams)},
                    {"grams_high", metrics::to_json(run.carbon.high_grams)},
                    {"usd", metrics::to_json(run.usd)}};
    if (plan.devices[run.device].memory_bytes) each["fits"] = run.fits && plan.devices[run.device].computes;
    json["runs"].push_back(std::move(each));
  }
  json["assumptions"] = plan_assumptions(plan);
  return json;
}

}  // namespace txtsum::app
