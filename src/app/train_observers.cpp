#include "app/train_observers.h"

#include <cstdio>
#include <utility>

#include "txtsum/app/table.h"
#include "txtsum/core/log.h"

namespace txtsum::app {
namespace {

using Scalars = std::vector<std::pair<std::string, double>>;

std::string short_number(double value) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.4g", value);
  return text;
}

Scalars log_scalars(const train::LogRecord& record, const metrics::Footprint& footprint) {
  Scalars scalars{{"train/loss", record.loss},
                  {"train/nll", record.nll},
                  {"train/learning_rate", record.last.learning_rate},
                  {"train/gradient_norm", record.gradient_norm},
                  {"train/epoch", record.last.epoch}};
  if (record.seconds > 0) {
    scalars.emplace_back("train/examples_per_second", static_cast<double>(record.examples) / record.seconds);
  }
  for (auto& metric : footprint_metrics(footprint)) scalars.push_back(std::move(metric));
  return scalars;
}

Scalars validation_scalars(const train::ValidationRecord& record) {
  Scalars scalars;
  for (const auto& [name, value] : record.metrics) scalars.emplace_back("validation/" + name, value);
  return scalars;
}

}  // namespace

void TerminalObserver::on_start(const train::RunFacts& facts) {
  by_time_ = facts.max_minutes && !facts.total_updates;
  max_seconds_ = facts.max_minutes.value_or(0.0) * 60.0;
  const int64_t total = by_time_ ? static_cast<int64_t>(max_seconds_) : facts.total_updates.value_or(0);
  progress_.emplace("train", by_time_ ? "seconds" : "updates", total, clock_);
  if (!by_time_) progress_->start_at(facts.first_update - 1);
}

void TerminalObserver::on_phase(train::Phase phase) {
  if (phase != train::Phase::kTrain && progress_) progress_->hide();
}

void TerminalObserver::on_update(const train::UpdateRecord& record) {
  std::string note("update ");
  note.append(with_separators(record.update)).append(", epoch ").append(short_number(record.epoch));
  note.append(", loss ").append(short_number(record.loss));
  progress_->update(by_time_ ? static_cast<int64_t>(record.share * max_seconds_) : record.update, note);
}

void TerminalObserver::on_validation(const train::ValidationRecord& record) {
  std::string text("validation after update ");
  text.append(with_separators(record.update)).append(":");
  for (const auto& [name, value] : record.metrics)
    text.append(" ").append(name).append(" ").append(short_number(value));
  text.append(", ").append(format_duration(record.seconds));
  if (record.best) text.append(", the best so far");
  core::log_info(text);
}

void TerminalObserver::on_save(const std::string& step_folder, int64_t) { core::log_info("saved " + step_folder); }

void TerminalObserver::on_finish(const train::TrainOutcome& outcome) {
  progress_->finish();
  const char* reason = outcome.reason == train::StopReason::kTime            ? "the time is up"
                       : outcome.reason == train::StopReason::kEarlyStopping ? "validation stopped getting better"
                                                                             : "all updates are done";
  core::log_info("training ended, " + std::string(reason) + ": " + with_separators(outcome.updates) + " updates, " +
                 short_number(outcome.epoch) + " epochs, " + format_duration(outcome.training_seconds) + ", " +
                 short_number(static_cast<double>(outcome.examples) / outcome.training_seconds) + " examples/s");
}

LedgerObserver::LedgerObserver(metrics::Ledger& ledger, metrics::EncoderDecoderShape shape,
                               metrics::TrainableParts parts)
    : ledger_(ledger), shape_(shape), parts_(std::move(parts)) {}

void LedgerObserver::on_phase(train::Phase phase) {
  ledger_.switch_phase(phase == train::Phase::kTrain      ? metrics::Phase::kTrain
                       : phase == train::Phase::kValidate ? metrics::Phase::kValidate
                                                          : metrics::Phase::kSave);
}

void LedgerObserver::on_update(const train::UpdateRecord& record) {
  metrics::LengthSums sums;
  sums.source_tokens = record.source_tokens;
  sums.target_tokens = record.target_tokens;
  sums.source_pairs = record.lengths.source_pairs;
  sums.target_triangle = (record.lengths.target_squared + static_cast<double>(record.target_tokens)) / 2.0;
  sums.source_times_target = record.lengths.source_times_target;
  metrics::Work work;
  work.examples = record.examples;
  work.source_tokens = record.source_tokens;
  work.target_tokens = record.target_tokens;
  work.updates = 1;
  const metrics::TrainFlops flops = metrics::train_flops(shape_, sums, parts_);
  work.flops = flops.total();
  work.spared_backward_flops = metrics::train_flops(shape_, sums, {}).backward - flops.backward;
  if (!parts_.encoder_runs) {
    work.spared_encoder_flops = metrics::encoder_flops(shape_, record.source_tokens, record.lengths.source_pairs);
  }
  ledger_.add_work(metrics::Phase::kTrain, work);
}

void LedgerObserver::on_save(const std::string&, int64_t) { ledger_.save(); }

std::vector<std::pair<std::string, double>> footprint_metrics(const metrics::Footprint& footprint) {
  Scalars scalars;
  const auto add = [&](const char* name, const metrics::Figure& figure) {
    if (figure.known()) scalars.emplace_back(name, *figure.value);
  };
  add("footprint/energy_kwh", footprint.energy_kwh);
  add("footprint/carbon_low_grams", footprint.carbon.low_grams);
  add("footprint/carbon_high_grams", footprint.carbon.high_grams);
  add("footprint/cost_usd", footprint.cost_usd);
  return scalars;
}

TensorboardObserver::TensorboardObserver(const std::string& folder, FootprintReader footprint, const core::Clock& clock)
    : file_(folder, clock), footprint_(std::move(footprint)) {}

void TensorboardObserver::on_start(const train::RunFacts& facts) {
  if (!facts.resumed_from.empty()) file_.start_session(facts.first_update);
}

void TensorboardObserver::on_log(const train::LogRecord& record) {
  file_.add_scalars(record.last.update, log_scalars(record, footprint_()));
}

void TensorboardObserver::on_validation(const train::ValidationRecord& record) {
  file_.add_scalars(record.update, validation_scalars(record));
}

void MlflowObserver::on_log(const train::LogRecord& record) {
  client_.log_metrics(record.last.update, log_scalars(record, footprint_()));
}

void MlflowObserver::on_validation(const train::ValidationRecord& record) {
  client_.log_metrics(record.update, validation_scalars(record));
}

}  // namespace txtsum::app
