#include "app/training_run.h"

#include <utility>

#include "app/command.h"
#include "app/gpu_work.h"
#include "app/model_writer.h"
#include "app/rank_guard.h"
#include "app/run_ledger.h"
#include "app/run_report.h"
#include "app/split_evaluation.h"
#include "app/summaries.h"
#include "app/training_results.h"
#include "txtsum/app/table.h"
#include "txtsum/config/dump.h"
#include "txtsum/core/error.h"
#include "txtsum/core/file.h"
#include "txtsum/core/log.h"
#include "txtsum/ops/device.h"
#include "txtsum/train/checkpoint.h"

namespace txtsum::app {
namespace {

/// Prints the start table.
class StartObserver final : public train::TrainObserver {
 public:
  explicit StartObserver(std::function<void(const train::RunFacts&)> started) : started_(std::move(started)) {}
  void on_start(const train::RunFacts& facts) override { started_(facts); }

 private:
  std::function<void(const train::RunFacts&)> started_;
};

/// Keeps the run folder up to date at saves.
class PublishObserver final : public train::TrainObserver {
 public:
  explicit PublishObserver(const RunFolder& folder) : folder_(folder) {}
  void on_save(const std::string&, int64_t) override { folder_.publish_live(); }

 private:
  const RunFolder& folder_;
};

std::optional<train::TrainingState> resumed_state(const RunStart& start) {
  if (start.resume_from.empty()) return std::nullopt;
  return train::read_training_state(start.resume_from);
}

}  // namespace

TrainingRun::TrainingRun(config::ExperimentConfig config, const RunStart& start, std::string command_line,
                         parallel::Communicator& ranks, const ComputeDevice& device, const core::Clock& clock)
    : config_(std::move(config)),
      start_(start),
      command_line_(std::move(command_line)),
      ranks_(ranks),
      clock_(clock),
      folder_(config_.run.output, config_.checkpoint.publish),
      device_(device),
      ledger_(start_ledger(config_.resources, device_, folder_.file(kAttemptsFolder), clock_)),
      threads_(set_threads(config_.run.threads)),
      environment_(describe_environment(threads_, device_)) {
  if (config_.train.deterministic) ops::use_deterministic_kernels();
  core::write_file(folder_.file(kConfigFile), config::to_yaml(config_));
  core::write_file(folder_.file(kEnvironmentFile), core::to_pretty_text(environment_));
  core::log_info(command_line_);
}

void TrainingRun::run() {
  try {
    load_as_rank(ranks_, [this] {
      inputs_ = load_training(config_, device_);
      base_ = read_card_base(inputs_.files.folder);
    });
    if (!start_.resume_from.empty()) check_same_data(start_.resume_from, inputs_);
    const train::TrainOutcome outcome = train();
    finish(outcome);
    ledger_->finish("finished");
    report([this](const core::Json& written) { write_model_card(folder_.file(kModelFolder), written, base_); });
    close_mlflow(MlflowStatus::kFinished);
  } catch (const core::StoppedBySignal& stopped) {
    ledger_->finish("stopped by signal " + std::to_string(stopped.exit_code() - 128));
    report();
    close_mlflow(MlflowStatus::kKilled);
    throw;
  } catch (const std::exception& error) {
    ledger_->fail(outcome_of(error));
    close_mlflow(signal_in(error.what()) != 0 ? MlflowStatus::kKilled : MlflowStatus::kFailed);
    throw;
  }
}

FreezeFacts TrainingRun::freeze_facts() const {
  const model::Arena& arena = inputs_.loaded->model->arena();
  return {arena.layout(),
          config_.optimizer,
          config_.parallel,
          ranks_.world(),
          {arena.dtype(), train::gradient_type(arena, *inputs_.batches)}};
}

train::TrainOutcome TrainingRun::train() {
  const std::optional<train::EncoderCacheFill> fill = fill_encoder_cache(inputs_, config_, ranks_, clock_);
  train::TrainerParts parts = trainer_parts(inputs_, config_, ranks_, clock_);
  freezing_ = freeze_json(freeze_facts());
  if (fill) {
    freezing_["encoder_cache"] = encoder_cache_json(inputs_.encoder_cache->file(), *fill);
    metrics::Work work;
    work.flops =
        metrics::encoder_flops(shape_of(inputs_.loaded->model->facts()), fill->source_tokens, fill->source_pairs);
    ledger_->add_work(metrics::Phase::kLoad, work);
  }
  parts.evaluator = evaluator_of(inputs_, config_, ranks_, clock_, [this](const metrics::Work& work) {
    ledger_->add_work(metrics::Phase::kValidate, work);
  });
  parts.write_folder = [this](const std::string& folder) {
    folder_.publish_live();  // A step that is there has its log lines.
    write_step_files(folder, *inputs_.loaded, inputs_.files, config_);
  };
  parts.observers = attach_observers();
  train::TrainerSettings settings = trainer_settings(inputs_, config_);
  settings.resume_from = start_.resume_from;
  settings.resume_hint = command_line_;
  const std::string& resume = config_.run.resume;
  if (resume != "auto") settings.resume_hint += ", without run.resume=" + resume;
  train::Trainer trainer(std::move(settings), std::move(parts));
  ledger_->resume_from(resumed_state(start_).value_or(train::TrainingState()).update);
  return trainer.run();
}

void TrainingRun::show_start(const train::RunFacts& facts) {
  const model::Seq2SeqModel& model = *inputs_.loaded->model;
  const StartFacts start{config_,
                         inputs_.files,
                         model,
                         inputs_.generation.origins,
                         inputs_.data_report,
                         ledger_->record(),
                         threads_,
                         inputs_.batches->one_micro_batch(),
                         ranks_.world()};
  core::log_info("\n" + start_table(start, facts) + "\n" + generation_table(inputs_.generation.origins) + "\n" +
                 freeze_table(freeze_facts()) + data_table(inputs_.data_report));
  log_and_add(warnings_, generation_warnings(inputs_.generation, inputs_.files, model.facts()));
  std::vector<std::string> summarized;
  if (config_.validation.generate) summarized.emplace_back(split_name(Split::kValidation));
  if (config_.test.generate) summarized.emplace_back(split_name(Split::kTest));
  log_and_add(warnings_,
              data_warnings(inputs_.data_report, config_.data, summarized, inputs_.generation.settings, model.facts()));
}

std::vector<train::TrainObserver*> TrainingRun::attach_observers() {
  start_observer_ = std::make_unique<StartObserver>([this](const train::RunFacts& facts) { show_start(facts); });
  terminal_ = std::make_unique<TerminalObserver>(clock_);
  steps_ = std::make_unique<StepLog>(folder_.live(kStepsFile), resumed_state(start_), clock_);
  const model::Seq2SeqModel& model = *inputs_.loaded->model;
  metrics::TrainableParts trainable = trainable_parts(model.facts(), model.arena().layout());
  trainable.encoder_runs = inputs_.encoder_cache == nullptr;
  ledger_observer_ = std::make_unique<LedgerObserver>(*ledger_, shape_of(model.facts()), trainable);
  // The ledger first: what the others do belongs to the phase that has begun.
  std::vector<train::TrainObserver*> observers{ledger_observer_.get(), start_observer_.get(), terminal_.get(),
                                               steps_.get()};
  const FootprintReader footprint_reader = [this] { return footprint(); };
  if (config_.report.tensorboard) {
    tensorboard_ = std::make_unique<TensorboardObserver>(folder_.live(kTensorboardFolder), footprint_reader, clock_);
    observers.push_back(tensorboard_.get());
  }
  if (config_.report.trace_updates > 0) {
    trace_ = std::make_unique<TraceObserver>(config_.report, device_.gpu.has_value(), folder_.file(kTraceFile));
    observers.push_back(trace_.get());
  }
  open_mlflow();
  if (mlflow_) {
    mlflow_observer_ = std::make_unique<MlflowObserver>(*mlflow_, footprint_reader);
    observers.push_back(mlflow_observer_.get());
  }
  // When the others have written their files.
  publish_observer_ = std::make_unique<PublishObserver>(folder_);
  observers.push_back(publish_observer_.get());
  return observers;
}

metrics::Footprint TrainingRun::footprint() {
  return current_footprint(config_.resources, folder_.file(kAttemptsFolder), *ledger_);
}

void TrainingRun::open_mlflow() {
  if (!config_.report.mlflow.value_or(true)) return;
  std::optional<MlflowSettings> settings = mlflow_settings_from_environment(process_environment);
  if (!settings) {
    if (config_.report.mlflow) {
      throw core::UserError("report.mlflow=true: set MLFLOW_TRACKING_URI to the server's http(s) or azureml address");
    }
    return;
  }
  if (settings->run_id.empty()) settings->run_id = remembered_mlflow_run(folder_);
  mlflow_ = std::make_unique<MlflowClient>(*settings, config_.run.name);
  MlflowClient::Texts params;
  for (const config::KeyValue& entry : config::list_values(config_)) params.emplace_back(entry.key, entry.value);
  mlflow_->log_params(params);
}

void TrainingRun::close_mlflow(MlflowStatus status) {
  if (!mlflow_) return;
  const MlflowReport result = mlflow_->finish(status);
  remember_mlflow_run(folder_, result.run_id);
  core::log_info("MLflow: " + with_separators(result.sent_metrics) + " metrics sent to run " +
                 (result.run_id.empty() ? "none" : result.run_id) +
                 (result.is_complete() ? "" : ", " + with_separators(result.dropped_metrics) + " lost"));
}

void TrainingRun::finish(const train::TrainOutcome& outcome) {
  if (outcome.gpu) {
    core::log_info(gpu_work_text(*outcome.gpu));
    gpu_work_ = to_json(*outcome.gpu);
  }
  rank_work_ = to_json(outcome.rank_work);
  ledger_->switch_phase(metrics::Phase::kSave);
  const bool selects = config_.checkpoint.best_metric != config::BestMetric::kNone;
  const std::string step =
      selects && !outcome.best_checkpoint.empty() ? outcome.best_checkpoint : outcome.last_checkpoint;
  if (step.empty()) throw core::UserError("no update was made, so there is no finished model: raise train's limits");
  write_finished_model(step, folder_, *inputs_.loaded, inputs_.files, config_);
  core::log_info("finished model: " + folder_.file(kModelFolder) + " (from " + step + ")");
  const TrainingSummary summary{config_, outcome, inputs_.batches->examples(),
                                inputs_.validation_data ? inputs_.validation_data->dataset.size() : 0,
                                inputs_.batches->updates_in_epoch(0)};
  write_training_results(folder_, summary, steps_->lines(), *ledger_);
  quality_["validation"] = last_validation(steps_->lines(), selects);
  if (scores_test_split(inputs_, config_)) score_test_split();
}

void TrainingRun::score_test_split() {
  ledger_->switch_phase(metrics::Phase::kLoad);
  ranks_.barrier();  // The others may read the finished model now.
  std::optional<SplitRequest> request;
  load_as_rank(ranks_, [&] { request.emplace(load_test_split(inputs_, config_, device_)); });
  core::log_info("scoring the test split with " + inputs_.files.folder.path);
  quality_["test"] = evaluate_split(*request, folder_, *ledger_, clock_, ranks_);
  if (!mlflow_) return;
  MlflowClient::Metrics metrics;
  for (const metrics::RougeKind& kind : metrics::kRougeKinds) {
    metrics.emplace_back(std::string("test/") + kind.name, quality_["test"].at(kind.name).get<double>());
  }
  mlflow_->log_metrics(0, metrics);
}

void TrainingRun::report(const std::function<void(const core::Json&)>& before) {
  log_and_add(warnings_, output_warnings(quality_, inputs_.generation.settings));
  const ReportParts parts{config_,  "train",   command_line_, environment_, to_json(inputs_.data_report),
                          quality_, freezing_, gpu_work_,     rank_work_,   warnings_};
  const core::Json written = write_report(folder_, parts, *ledger_, clock_, before);
  if (quality_.contains("test")) forget_summary_log(folder_);
  folder_.publish_live();
  std::string text;
  if (quality_.contains("test")) text.append("test split\n").append(quality_text(quality_.at("test"))).append("\n");
  if (!freezing_.is_null()) text.append(freeze_text(written.at("freezing")));
  text.append(footprint_text(config_.resources, folder_.file(kAttemptsFolder), *ledger_));
  print(text + "report: " + folder_.file(kReportFile) + "\n");
}

}  // namespace txtsum::app
