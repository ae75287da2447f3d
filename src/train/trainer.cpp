#include "txtsum/train/trainer.h"

#include <ATen/ATen.h>

#include <string>
#include <utility>

#include "checkpointer.h"
#include "plan.h"
#include "run_log.h"
#include "selection.h"
#include "txtsum/config/field.h"
#include "txtsum/core/error.h"
#include "txtsum/core/stop_signal.h"
#include "txtsum/train/optimizer.h"
#include "txtsum/train/schedule.h"
#include "txtsum/train/validation_loss.h"
#include "update_step.h"

namespace txtsum::train {
namespace {

int64_t trainable_elements(const model::ArenaLayout& layout) {
  int64_t count = 0;
  for (const model::ArenaEntry& entry : layout.entries()) count += entry.frozen ? 0 : entry.numel;
  return count;
}

int64_t all_elements(const model::ArenaLayout& layout) {
  int64_t count = 0;
  for (const model::ArenaEntry& entry : layout.entries()) count += entry.numel;
  return count;
}

LengthProducts length_products(const GlobalBatch& batch) {
  LengthProducts sums;
  for (const MicroBatch& micro : batch.micro_batches) {
    for (size_t i = 0; i + 1 < micro.source.offsets.size(); ++i) {
      const auto source = static_cast<double>(micro.source.offsets[i + 1] - micro.source.offsets[i]);
      const auto target = static_cast<double>(micro.labels.offsets[i + 1] - micro.labels.offsets[i]);
      sums.source_squared += source * source;
      sums.target_squared += target * target;
      sums.source_times_target += source * target;
    }
  }
  return sums;
}

/// Refuses what could only fail after hours.
void check_request(const TrainerSettings& settings, const TrainerParts& parts) {
  if (trainable_elements(parts.model.arena().layout()) == 0) {
    throw core::UserError("model.freeze freezes every parameter: nothing is left to train");
  }
  const config::BestMetric metric = settings.checkpoint.best_metric;
  if (settings.early_stopping.patience && metric == config::BestMetric::kNone) {
    throw core::UserError(
        "early_stopping.patience is set, but checkpoint.best_metric is none: name the metric to watch");
  }
  if (metric == config::BestMetric::kNone) return;
  const bool loss = metric == config::BestMetric::kLoss;
  const bool measured = loss ? settings.validation.loss && parts.validation != nullptr
                             : settings.validation.generate && static_cast<bool>(parts.evaluator);
  if (!measured) {
    throw core::UserError("checkpoint.best_metric is " + std::string(config::name_of(metric)) +
                          ", which validation does not measure: set data.validation and validation." +
                          (loss ? "loss" : "generate") + "=true");
  }
}

}  // namespace

class Trainer::Loop {
 public:
  Loop(TrainerSettings settings, TrainerParts parts);
  TrainOutcome run();

 private:
  void start();
  bool done() const;
  void train_update();
  UpdateRecord measured_update(double epoch_before);
  void after_update(double epoch_before, double epoch_after);
  void validate_pending();
  ValidationRecord validate();
  void save();
  void leave_if_asked();
  [[noreturn]] void leave(int signal);
  double epochs_done() const;
  TrainOutcome outcome() const;
  void enter(Phase phase) const {
    log_.tell([&](TrainObserver& observer) { observer.on_phase(phase); });
  }

  TrainerSettings settings_;
  TrainerParts parts_;
  RunLog log_;
  TrainingPlan plan_;
  Schedule schedule_;
  std::unique_ptr<Optimizer> optimizer_;
  UpdateStep step_;
  Checkpointer checkpointer_;
  Selection selection_;
  Period validation_period_;
  Period save_period_;
  TrainingState state_;
  std::string last_checkpoint_;
  int64_t saved_update_ = 0;
};

Trainer::Loop::Loop(TrainerSettings settings, TrainerParts parts)
    : settings_(std::move(settings)),
      parts_(std::move(parts)),
      log_(parts_.observers, settings_.train.log_every_updates),
      plan_(settings_.train, parts_.batches),
      schedule_(settings_.schedule, settings_.optimizer.learning_rate.value_or(0.0), plan_.total_updates()),
      optimizer_(make_optimizer(settings_.optimizer, parts_.model.arena(), parts_.initial_masters)),
      step_(settings_.train, settings_.seed, parts_.model, parts_.batches, parts_.communicator, *optimizer_),
      checkpointer_(settings_, parts_.write_folder, parts_.model.arena(), *optimizer_),
      selection_(settings_.checkpoint, settings_.early_stopping),
      validation_period_(settings_.validation.every_updates, settings_.validation.every_epochs),
      save_period_(settings_.checkpoint.every_updates, settings_.checkpoint.every_epochs) {
  parts_.initial_masters.reset();
  state_.seed = settings_.seed;
  state_.world = parts_.communicator.world();
}

TrainOutcome Trainer::Loop::run() {
  start();
  validate_pending();
  while (!done()) {
    train_update();
    leave_if_asked();
  }
  log_.flush(state_);
  if (state_.update > 0 && saved_update_ != state_.update) save();
  const TrainOutcome result = outcome();
  log_.tell([&](TrainObserver& observer) { observer.on_finish(result); });
  return result;
}

void Trainer::Loop::start() {
  checkpointer_.clean();
  if (!settings_.resume_from.empty()) {
    state_ = checkpointer_.restore(settings_.resume_from);
    last_checkpoint_ = settings_.resume_from;
    saved_update_ = state_.update;
  }
  state_.config_fingerprint = settings_.config_fingerprint;

  const model::Arena& arena = parts_.model.arena();
  RunFacts facts;
  facts.examples = parts_.batches.examples();
  facts.updates_in_epoch = parts_.batches.updates_in_epoch(0);
  facts.total_updates = plan_.update_limit();
  facts.warmup_updates = schedule_.warmup_updates();
  facts.warmup_share = settings_.schedule.warmup_share.value_or(0.0);
  facts.max_minutes = settings_.train.max_minutes;
  facts.trainable_parameters = trainable_elements(arena.layout());
  facts.parameters = all_elements(arena.layout());
  facts.gradient_type = arena.gradients().scalar_type() == at::kBFloat16 ? "bf16" : "fp32";
  facts.first_update = state_.update + 1;
  facts.resumed_from = settings_.resume_from;
  log_.tell([&](TrainObserver& observer) { observer.on_start(facts); });

  if (settings_.resume_from.empty() && settings_.validation.on_start) {
    try {
      const ValidationRecord record = validate();
      log_.tell([&](TrainObserver& observer) { observer.on_validation(record); });
    } catch (const core::StoppedBySignal& stopped) {
      leave(stopped.exit_code() - 128);
    }
  }
  enter(Phase::kTrain);
}

bool Trainer::Loop::done() const {
  return plan_.updates_are_done(state_.update) || plan_.time_is_up(state_.training_seconds) ||
         selection_.should_stop(state_);
}

double Trainer::Loop::epochs_done() const {
  const double in_epoch = static_cast<double>(parts_.batches.updates_in_epoch(state_.epoch));
  return static_cast<double>(state_.epoch) + static_cast<double>(state_.batch) / in_epoch;
}

UpdateRecord Trainer::Loop::measured_update(double epoch_before) {
  const double begin = parts_.clock.monotonic_seconds();
  const GlobalBatch batch = parts_.batches.batch(state_.epoch, state_.batch);
  const Progress progress = plan_.progress(state_.update, state_.training_seconds);
  const double learning_rate = schedule_.learning_rate(progress);
  UpdateRecord record;
  record.update = state_.update + 1;
  const UpdateResult result = step_.run(batch, record.update, learning_rate);
  record.epoch = epoch_before;
  record.loss = result.loss;
  record.nll = result.nll;
  record.gradient_norm = result.gradient_norm;
  record.learning_rate = optimizer_->effective_learning_rate({record.update, learning_rate, 1.0});
  record.examples = static_cast<int64_t>(batch.examples.size());
  record.source_tokens = batch.source_tokens;
  record.target_tokens = batch.target_tokens;
  record.lengths = length_products(batch);
  record.seconds = parts_.clock.monotonic_seconds() - begin;
  return record;
}

void Trainer::Loop::train_update() {
  const double epoch_before = epochs_done();
  UpdateRecord record = measured_update(epoch_before);
  state_.update = record.update;
  state_.training_seconds += record.seconds;
  state_.loss_sum += record.loss;
  state_.examples += record.examples;
  state_.source_tokens += record.source_tokens;
  state_.target_tokens += record.target_tokens;
  if (++state_.batch == parts_.batches.updates_in_epoch(state_.epoch)) {
    ++state_.epoch;
    state_.batch = 0;
  }
  record.epoch = epochs_done();
  record.share = plan_.progress(state_.update, state_.training_seconds).share;
  log_.update_done(record, done(), state_);
  after_update(epoch_before, record.epoch);
}

/// Validates and saves what is due. The last update is always due for both.
void Trainer::Loop::after_update(double epoch_before, double epoch_after) {
  const bool last = done();
  const bool measures = (settings_.validation.loss && parts_.validation != nullptr) ||
                        (settings_.validation.generate && static_cast<bool>(parts_.evaluator));
  state_.validation_pending = measures && (last || validation_period_.due(state_.update, epoch_before, epoch_after));
  leave_if_asked();
  validate_pending();
  if (saved_update_ != state_.update && (last || save_period_.due(state_.update, epoch_before, epoch_after))) save();
}

/// Makes the validation that is due; a best one is saved at once. A stop that comes meanwhile leaves it pending.
void Trainer::Loop::validate_pending() {
  if (!state_.validation_pending) return;
  ValidationRecord record;
  try {
    record = validate();
  } catch (const core::StoppedBySignal& stopped) {
    leave(stopped.exit_code() - 128);
  }
  record.best = selection_.enter(record, state_);
  state_.validation_pending = false;
  log_.tell([&](TrainObserver& observer) { observer.on_validation(record); });
  const bool saved_as_pending = saved_update_ == state_.update;
  if (record.best || saved_as_pending) save();
  enter(Phase::kTrain);
}

ValidationRecord Trainer::Loop::validate() {
  enter(Phase::kValidate);
  const double begin = parts_.clock.monotonic_seconds();
  ValidationRecord record;
  record.update = state_.update;
  record.epoch = epochs_done();
  if (settings_.validation.loss && parts_.validation != nullptr) {
    const ValidationLoss loss = validation_loss(parts_.model, *parts_.validation, settings_.train.label_smoothing);
    record.metrics = {{"loss", loss.loss}, {"nll", loss.nll}};
  }
  if (settings_.validation.generate && parts_.evaluator) {
    const at::NoGradGuard no_grad;
    for (auto& metric : parts_.evaluator(state_.update)) record.metrics.push_back(std::move(metric));
  }
  record.seconds = parts_.clock.monotonic_seconds() - begin;
  return record;
}

void Trainer::Loop::save() {
  enter(Phase::kSave);
  last_checkpoint_ = checkpointer_.save(state_);
  saved_update_ = state_.update;
  log_.tell([&](TrainObserver& observer) { observer.on_save(last_checkpoint_, state_.update); });
  enter(Phase::kTrain);
}

void Trainer::Loop::leave_if_asked() {
  if (const int signal = core::stop_signal()) leave(signal);
}

void Trainer::Loop::leave(int signal) {
  if (state_.update == 0) throw core::StoppedBySignal("stopped before the first update; nothing was saved", signal);
  if (saved_update_ != state_.update) save();
  std::string text = "saved step " + std::to_string(state_.update);
  if (!settings_.resume_hint.empty()) text += "; resume with " + settings_.resume_hint;
  throw core::StoppedBySignal(text, signal);
}

TrainOutcome Trainer::Loop::outcome() const {
  TrainOutcome result;
  if (plan_.updates_are_done(state_.update)) {
    result.reason = StopReason::kUpdates;
  } else if (plan_.time_is_up(state_.training_seconds)) {
    result.reason = StopReason::kTime;
  } else {
    result.reason = StopReason::kEarlyStopping;
  }
  result.updates = state_.update;
  result.epoch = epochs_done();
  if (state_.update > 0) result.mean_loss = state_.loss_sum / static_cast<double>(state_.update);
  result.training_seconds = state_.training_seconds;
  result.examples = state_.examples;
  result.source_tokens = state_.source_tokens;
  result.target_tokens = state_.target_tokens;
  result.last_checkpoint = last_checkpoint_;
  if (state_.best_update > 0) {
    result.best_checkpoint = settings_.checkpoint_folder + "/" + step_folder_name(state_.best_update);
    result.best_metric = state_.best_metric;
  }
  return result;
}

Trainer::Trainer(TrainerSettings settings, TrainerParts parts) {
  check_request(settings, parts);
  loop_ = std::make_unique<Loop>(std::move(settings), std::move(parts));
}

Trainer::~Trainer() = default;

TrainOutcome Trainer::run() { return loop_->run(); }

}  // namespace txtsum::train
