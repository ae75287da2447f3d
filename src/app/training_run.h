#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "app/compute_device.h"
#include "app/experiment.h"
#include "app/freeze_report.h"
#include "app/model_card.h"
#include "app/run_folder.h"
#include "app/start_table.h"
#include "app/step_log.h"
#include "app/trace_observer.h"
#include "app/train_observers.h"
#include "app/training_inputs.h"
#include "app/warnings.h"
#include "txtsum/config/experiment_config.h"
#include "txtsum/metrics/ledger.h"
#include "txtsum/train/dataset_batches.h"
#include "txtsum/train/trainer.h"

namespace txtsum::app {

/// One attempt at a training, composed from all layers: load, train with its observers, write the finished model, score
/// the test split, report.
class TrainingRun {
 public:
  /// Of several ranks the first one; the others follow (follow_training). `ranks` must outlive it.
  TrainingRun(config::ExperimentConfig config, const RunStart& start, std::string command_line,
              parallel::Communicator& ranks, const ComputeDevice& device, const core::Clock& clock);

  /// Runs to the end. Throws StoppedBySignal after the report was written.
  void run();

 private:
  train::TrainOutcome train();
  void open_mlflow();
  FreezeFacts freeze_facts() const;
  void show_start(const train::RunFacts& facts);
  std::vector<train::TrainObserver*> attach_observers();
  void finish(const train::TrainOutcome& outcome);
  void write_train_results(const train::TrainOutcome& outcome);
  void write_trainer_state(const train::TrainOutcome& outcome);
  void score_test_split();
  void report(const std::function<void(const core::Json&)>& before = {});
  void close_mlflow(MlflowStatus status);
  metrics::Footprint footprint();

  config::ExperimentConfig config_;
  RunStart start_;
  std::string command_line_;
  parallel::Communicator& ranks_;
  const core::Clock& clock_;
  RunFolder folder_;
  ComputeDevice device_;
  std::unique_ptr<metrics::Ledger> ledger_;
  int threads_ = 1;
  core::Json environment_;
  TrainingInputs inputs_;
  CardBase base_;  ///< Of the model that training starts from; inputs_.files become the finished one's.
  std::unique_ptr<StepLog> steps_;
  std::unique_ptr<TerminalObserver> terminal_;
  std::unique_ptr<LedgerObserver> ledger_observer_;
  std::unique_ptr<TensorboardObserver> tensorboard_;
  std::unique_ptr<MlflowClient> mlflow_;
  std::unique_ptr<MlflowObserver> mlflow_observer_;
  std::unique_ptr<train::TrainObserver> start_observer_, publish_observer_;
  std::unique_ptr<TraceObserver> trace_;
  core::Json quality_ = core::Json::object();
  core::Json freezing_, gpu_work_, rank_work_;
  Warnings warnings_;
};

}  // namespace txtsum::app
