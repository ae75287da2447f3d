#include "app/step_log.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <utility>

#include "txtsum/core/error.h"
#include "txtsum/core/file.h"

namespace txtsum::app {
namespace {

/// Whether a training that goes on from `state` writes this line again.
bool is_done_again(const core::Json& line, const train::TrainingState& state) {
  const int64_t update = line.value("update", int64_t{0});
  if (update != state.update) return update > state.update;
  // A stop may have come between the update, its log record, its validation and its save.
  if (line.value("event", "") == "update") return state.window.updates > 0;
  return state.validation_pending;
}

}  // namespace

StepLog::StepLog(std::string path, const std::optional<train::TrainingState>& resumed, const core::Clock& clock)
    : path_(std::move(path)), clock_(clock) {
  std::string kept;
  std::ifstream in(path_);
  const bool goes_on = resumed && in.is_open();
  for (std::string line; goes_on && std::getline(in, line);) {
    core::Json json = core::Json::parse(line, nullptr, /*allow_exceptions=*/false);
    // A line without its end is what a killed process left.
    if (json.is_discarded() || is_done_again(json, *resumed)) continue;
    kept.append(line).append("\n");
    lines_.push_back(std::move(json));
  }
  core::write_file(path_, kept);
  if (!goes_on || resumed->validation_pending) return;
  // The process may have been killed between the save and its line.
  const bool has_save = std::any_of(lines_.begin(), lines_.end(), [&](const core::Json& line) {
    return line.value("event", "") == "save" && line.value("update", int64_t{0}) == resumed->update;
  });
  if (!has_save) on_save(train::step_folder_name(resumed->update), resumed->update);
}

void StepLog::add(core::Json line) {
  line["utc"] = core::format_utc(clock_.unix_seconds());
  std::ofstream out(path_, std::ios::app);
  out << core::to_line(line) << '\n' << std::flush;
  if (!out) throw core::DataError(path_ + ": cannot write");
  lines_.push_back(std::move(line));
}

void StepLog::on_log(const train::LogRecord& record) {
  core::Json line{{"event", "update"},
                  {"update", record.last.update},
                  {"epoch", record.last.epoch},
                  {"share", record.last.share},
                  {"updates", record.updates},
                  {"loss", record.loss},
                  {"nll", record.nll},
                  {"learning_rate", record.last.learning_rate},
                  {"gradient_norm", record.gradient_norm},
                  {"examples", record.examples},
                  {"source_tokens", record.source_tokens},
                  {"target_tokens", record.target_tokens},
                  {"seconds", record.seconds}};
  if (record.last.loss_scale != 1.0) {
    line["loss_scale"] = record.last.loss_scale;
    line["left_out"] = record.left_out;
  }
  add(std::move(line));
}

void StepLog::on_validation(const train::ValidationRecord& record) {
  core::Json line{{"event", "validation"}, {"update", record.update}, {"epoch", record.epoch}};
  for (const auto& [name, value] : record.metrics) line[name] = value;
  line["seconds"] = record.seconds;
  line["best"] = record.best;
  add(std::move(line));
}

void StepLog::on_save(const std::string& step_folder, int64_t update) {
  add({{"event", "save"}, {"update", update}, {"folder", std::filesystem::path(step_folder).filename().string()}});
}

}  // namespace txtsum::app
