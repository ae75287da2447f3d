#include "txtsum/metrics/hf_results.h"

#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "txtsum/core/file.h"

namespace txtsum::metrics {
namespace {

/// Rounds to decimals as Python's round does: the exact binary value, ties to even.
double rounded(double value, int decimals) {
  char text[400];
  std::snprintf(text, sizeof(text), "%.*f", decimals, value);
  return std::strtod(text, nullptr);
}

/// transformers sorts the keys of these files.
core::Json sorted(const core::Json& json) { return core::Json(nlohmann::json(json)); }

/// transformers' speed_metrics.
void add_speed(core::Json& json, const std::string& prefix, double runtime_seconds, int64_t samples, int64_t steps) {
  json[prefix + "_runtime"] = rounded(runtime_seconds, 4);
  if (runtime_seconds == 0) return;
  json[prefix + "_samples_per_second"] = rounded(static_cast<double>(samples) / runtime_seconds, 3);
  json[prefix + "_steps_per_second"] = rounded(static_cast<double>(steps) / runtime_seconds, 3);
}

template <typename Value>
core::Json optional_json(const std::optional<Value>& value) {
  return value ? core::Json(*value) : core::Json(nullptr);
}

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

}  // namespace

core::Json train_results(const TrainResults& results) {
  core::Json json;
  json["epoch"] = results.epoch;
  json["total_flos"] = results.total_flos;
  json["train_loss"] = results.loss;
  add_speed(json, "train", results.runtime_seconds, results.samples_trained, results.max_steps);
  json["train_samples"] = results.samples;
  if (results.step_seconds) {
    json["train_pure_step_seconds"] = rounded(*results.step_seconds, 4);
    if (*results.step_seconds > 0) {
      json["train_pure_step_samples_per_second"] =
          rounded(static_cast<double>(results.samples_trained) / *results.step_seconds, 3);
    }
  }
  return sorted(json);
}

core::Json split_results(const SplitResults& results, const std::string& prefix) {
  core::Json json;
  if (results.loss) json[prefix + "_loss"] = *results.loss;
  for (const auto& [name, score] : results.rouge) json[prefix + "_" + name] = rounded(score * 100.0, 4);
  if (results.gen_len) json[prefix + "_gen_len"] = *results.gen_len;
  add_speed(json, prefix, results.runtime_seconds, results.samples, results.steps);
  json[prefix + "_samples"] = results.samples;
  if (results.epoch) json["epoch"] = *results.epoch;
  return sorted(json);
}

void write_results(const std::string& folder, const std::string& split, const core::Json& results) {
  core::write_file(folder + "/" + split + "_results.json", core::to_pretty_text(sorted(results)));
  const std::string all_path = folder + "/all_results.json";
  core::Json all = core::Json::object();
  if (std::filesystem::exists(all_path)) all = core::read_json_file(all_path);
  all.update(results);
  core::write_file(all_path, core::to_pretty_text(sorted(all)));
}

core::Json training_log_entry(int64_t step, double epoch, double loss, double gradient_norm, double learning_rate) {
  return {
      {"epoch", epoch}, {"grad_norm", gradient_norm}, {"learning_rate", learning_rate}, {"loss", loss}, {"step", step}};
}

core::Json results_log_entry(const core::Json& results, int64_t step, double epoch) {
  core::Json entry = core::Json::object();
  for (const auto& [key, value] : results.items()) {
    const bool of_the_script = ends_with(key, "_samples");
    const bool of_our_own = key.find("_pure_step_") != std::string::npos;
    if (!of_the_script && !of_our_own) entry[key] = value;
  }
  entry["epoch"] = epoch;
  entry["step"] = step;
  return sorted(entry);
}

core::Json trainer_state(const TrainerState& state) {
  core::Json json;
  json["epoch"] = state.epoch;
  json["global_step"] = state.global_step;
  json["max_steps"] = state.max_steps;
  json["num_train_epochs"] = state.num_train_epochs;
  json["logging_steps"] = state.logging_steps;
  json["eval_steps"] = state.eval_steps;
  json["save_steps"] = state.save_steps;
  json["train_batch_size"] = state.train_batch_size;
  json["num_input_tokens_seen"] = state.num_input_tokens_seen;
  json["total_flos"] = state.total_flos;
  json["log_history"] = state.log_history;
  json["best_metric"] = optional_json(state.best_metric);
  json["best_global_step"] = optional_json(state.best_global_step);
  json["best_model_checkpoint"] = optional_json(state.best_model_checkpoint);
  json["is_local_process_zero"] = true;
  json["is_world_process_zero"] = true;
  json["is_hyper_param_search"] = false;
  json["trial_name"] = nullptr;
  json["trial_params"] = nullptr;
  json["stateful_callbacks"] = core::Json::object();
  return sorted(json);
}

}  // namespace txtsum::metrics
