#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "txtsum/app/event_file.h"
#include "txtsum/app/mlflow_client.h"
#include "txtsum/app/progress_line.h"
#include "txtsum/metrics/flops.h"
#include "txtsum/metrics/ledger.h"
#include "txtsum/metrics/run_totals.h"
#include "txtsum/train/observer.h"

namespace txtsum::app {

/// Shows the training on the terminal, and its validations in the log.
class TerminalObserver final : public train::TrainObserver {
 public:
  explicit TerminalObserver(const core::Clock& clock) : clock_(clock) {}
  void on_start(const train::RunFacts& facts) override;
  void on_phase(train::Phase phase) override;
  void on_update(const train::UpdateRecord& record) override;
  void on_validation(const train::ValidationRecord& record) override;
  void on_save(const std::string& step_folder, int64_t update) override;
  void on_finish(const train::TrainOutcome& outcome) override;

 private:
  const core::Clock& clock_;
  std::optional<ProgressLine> progress_;
  bool by_time_ = false;  ///< Time ends the training, so the bar counts seconds.
  double max_seconds_ = 0;
};

/// Books the training to the ledger.
class LedgerObserver final : public train::TrainObserver {
 public:
  LedgerObserver(metrics::Ledger& ledger, metrics::EncoderDecoderShape shape, metrics::TrainableParts parts);
  void on_phase(train::Phase phase) override;
  void on_update(const train::UpdateRecord& record) override;
  void on_save(const std::string& step_folder, int64_t update) override;

 private:
  metrics::Ledger& ledger_;
  metrics::EncoderDecoderShape shape_;
  metrics::TrainableParts parts_;
};

/// What the trackers show beside the training's own numbers; read at each log record.
using FootprintReader = std::function<metrics::Footprint()>;

/// Energy, carbon and cost by the names of the trackers; figures that are missing are left out.
std::vector<std::pair<std::string, double>> footprint_metrics(const metrics::Footprint& footprint);

/// Writes TensorBoard's event file.
class TensorboardObserver final : public train::TrainObserver {
 public:
  TensorboardObserver(const std::string& folder, FootprintReader footprint, const core::Clock& clock);
  void on_start(const train::RunFacts& facts) override;
  void on_log(const train::LogRecord& record) override;
  void on_validation(const train::ValidationRecord& record) override;

 private:
  EventFile file_;
  FootprintReader footprint_;
};

/// Sends the training's numbers to MLflow.
class MlflowObserver final : public train::TrainObserver {
 public:
  MlflowObserver(MlflowClient& client, FootprintReader footprint) : client_(client), footprint_(std::move(footprint)) {}
  void on_log(const train::LogRecord& record) override;
  void on_validation(const train::ValidationRecord& record) override;

 private:
  MlflowClient& client_;
  FootprintReader footprint_;
};

}  // namespace txtsum::app
