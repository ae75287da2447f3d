#include "training_state.h"

#include <filesystem>

#include "checkpointer.h"
#include "txtsum/core/error.h"
#include "txtsum/core/json.h"
#include "txtsum/core/log.h"
#include "txtsum/io/checkpoint_folder.h"

namespace txtsum::train {
namespace {

using core::Json;

constexpr int kVersion = 1;

Json to_json(const UpdateRecord& record) {
  return {{"update", record.update},
          {"epoch", record.epoch},
          {"share", record.share},
          {"loss", record.loss},
          {"nll", record.nll},
          {"learning_rate", record.learning_rate},
          {"gradient_norm", record.gradient_norm},
          {"loss_scale", record.loss_scale},
          {"left_out", record.left_out},
          {"examples", record.examples},
          {"source_tokens", record.source_tokens},
          {"target_tokens", record.target_tokens},
          {"seconds", record.seconds}};
}

UpdateRecord update_record_from(const Json& json) {
  UpdateRecord record;
  json.at("update").get_to(record.update);
  json.at("epoch").get_to(record.epoch);
  json.at("share").get_to(record.share);
  json.at("loss").get_to(record.loss);
  json.at("nll").get_to(record.nll);
  json.at("learning_rate").get_to(record.learning_rate);
  json.at("gradient_norm").get_to(record.gradient_norm);
  json.at("loss_scale").get_to(record.loss_scale);
  json.at("left_out").get_to(record.left_out);
  json.at("examples").get_to(record.examples);
  json.at("source_tokens").get_to(record.source_tokens);
  json.at("target_tokens").get_to(record.target_tokens);
  json.at("seconds").get_to(record.seconds);
  return record;
}

Json to_json(const LogRecord& window) {
  return {{"last", to_json(window.last)},
          {"updates", window.updates},
          {"loss", window.loss},
          {"nll", window.nll},
          {"gradient_norm", window.gradient_norm},
          {"left_out", window.left_out},
          {"examples", window.examples},
          {"source_tokens", window.source_tokens},
          {"target_tokens", window.target_tokens},
          {"seconds", window.seconds}};
}

LogRecord log_record_from(const Json& json) {
  LogRecord window;
  window.last = update_record_from(json.at("last"));
  json.at("updates").get_to(window.updates);
  json.at("loss").get_to(window.loss);
  json.at("nll").get_to(window.nll);
  json.at("gradient_norm").get_to(window.gradient_norm);
  json.at("left_out").get_to(window.left_out);
  json.at("examples").get_to(window.examples);
  json.at("source_tokens").get_to(window.source_tokens);
  json.at("target_tokens").get_to(window.target_tokens);
  json.at("seconds").get_to(window.seconds);
  return window;
}

Json to_json(const std::optional<ops::LossScaleState>& scale) {
  if (!scale) return nullptr;
  return {{"scale", scale->scale}, {"good_updates", scale->good_updates}, {"left_out", scale->left_out}};
}

std::optional<ops::LossScaleState> loss_scale_from(const Json& json) {
  if (json.is_null()) return std::nullopt;
  return ops::LossScaleState{json.at("scale").get<double>(), json.at("good_updates").get<int64_t>(),
                             json.at("left_out").get<int64_t>()};
}

TrainingState state_from(const Json& json) {
  TrainingState state;
  json.at("seed").get_to(state.seed);
  json.at("config_fingerprint").get_to(state.config_fingerprint);
  json.at("world").get_to(state.world);
  json.at("update").get_to(state.update);
  json.at("position").at("epoch").get_to(state.epoch);
  json.at("position").at("batch").get_to(state.batch);
  json.at("training_seconds").get_to(state.training_seconds);
  json.at("loss_sum").get_to(state.loss_sum);
  json.at("examples").get_to(state.examples);
  json.at("source_tokens").get_to(state.source_tokens);
  json.at("target_tokens").get_to(state.target_tokens);
  state.window = log_record_from(json.at("window"));
  if (!json.at("best_metric").is_null()) state.best_metric = json.at("best_metric").get<double>();
  json.at("best_update").get_to(state.best_update);
  json.at("bad_validations").get_to(state.bad_validations);
  json.at("validation_pending").get_to(state.validation_pending);
  state.loss_scale = loss_scale_from(json.at("loss_scale"));
  return state;
}

}  // namespace

bool resumable(const std::string& step_folder) {
  return std::filesystem::exists(step_folder + "/" + kOptimizerFile) &&
         std::filesystem::exists(step_folder + "/" + kTrainingStateFile);
}

std::string to_text(const TrainingState& state) {
  Json json{{"version", kVersion},
            {"seed", state.seed},
            {"config_fingerprint", state.config_fingerprint},
            {"world", state.world},
            {"update", state.update},
            {"position", {{"epoch", state.epoch}, {"batch", state.batch}}},
            {"training_seconds", state.training_seconds},
            {"loss_sum", state.loss_sum},
            {"examples", state.examples},
            {"source_tokens", state.source_tokens},
            {"target_tokens", state.target_tokens},
            {"window", to_json(state.window)},
            {"best_metric", state.best_metric ? Json(*state.best_metric) : Json()},
            {"best_update", state.best_update},
            {"bad_validations", state.bad_validations},
            {"validation_pending", state.validation_pending},
            {"loss_scale", to_json(state.loss_scale)}};
  return core::to_pretty_text(json);
}

std::string step_folder_name(int64_t update) { return "step-" + std::to_string(update); }

TrainingState read_training_state(const std::string& step_folder) {
  const std::string path = step_folder + "/" + kTrainingStateFile;
  const Json json = core::read_json_file(path);
  try {
    const int version = json.at("version").get<int>();
    if (version != kVersion) {
      throw core::DataError(path + ": wanted version " + std::to_string(kVersion) + ", found " +
                            std::to_string(version));
    }
    return state_from(json);
  } catch (const Json::exception& error) {
    throw core::DataError(path + ": not a training state: " + error.what());
  }
}

std::string find_checkpoint(const std::string& checkpoint_folder) {
  constexpr const char* kGoesOn = "; looking for an earlier checkpoint to resume from";
  const std::vector<io::CheckpointPlace> places = io::list_finished_checkpoints(checkpoint_folder);
  for (auto place = places.rbegin(); place != places.rend(); ++place) {
    // Gigabytes are read only of what can be continued.
    if (!resumable(place->path) && io::is_complete(place->path)) {
      core::log_warning(place->path + " has no optimizer state" + kGoesOn);
      continue;
    }
    try {
      io::verify_checkpoint(place->path);
      return place->path;
    } catch (const core::DataError& error) {
      core::log_warning(std::string(error.what()) + kGoesOn);
    }
  }
  return {};
}

}  // namespace txtsum::train
