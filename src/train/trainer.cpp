#include "txtsum/train/trainer.h"

#include <ATen/ATen.h>

#include <deque>
#include <string>
#include <utility>

#include "agreement.h"
#include "checkpointer.h"
#include "memory_account.h"
#include "plan.h"
#include "run_log.h"
#include "selection.h"
#include "txtsum/config/field.h"
#include "txtsum/core/error.h"
#include "txtsum/core/stop_signal.h"
#include "txtsum/train/optimizer.h"
#include "txtsum/train/schedule.h"
#include "txtsum/train/state_bytes.h"
#include "txtsum/train/validation_loss.h"
#include "update_step.h"

namespace txtsum::train {
namespace {

/// Updates that a device may have in its queue: enough to be busy while the host captures a new shape, which takes it
/// as long as two or three short updates.
constexpr size_t kUpdatesUnderWay = 4;

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

const char* gradient_type_name(at::ScalarType type) {
  return type == at::kBFloat16 ? "bf16" : type == at::kHalf ? "fp16" : "fp32";
}

/// An update that was started, and where in the data it leads.
struct StartedUpdate {
  UpdateRecord record;  // what is known before the update is finished
  double epoch_before = 0.0;
  int64_t epoch_after = 0, batch_after = 0;  // the position of the update that follows
};

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
  bool done_training() const;
  bool validates() const {
    return (settings_.validation.loss && parts_.validation != nullptr) ||
           (settings_.validation.generate && static_cast<bool>(parts_.evaluator));
  }
  UpdateParts update_parts() {
    return {settings_.train, settings_.seed, parts_.model, parts_.batches, *sharding_, *optimizer_};
  }
  void train_update();
  void start_update();
  bool may_run_ahead(const StartedUpdate& started) const;
  bool due_after(const StartedUpdate& started, const Period& period) const;
  void finish_update();
  void after_update(const StartedUpdate& done);
  void validate_pending();
  ValidationRecord validate();
  void save();
  int asked_to_stop() const { return parts_.communicator.world() > 1 ? agreed_signal_ : core::stop_signal(); }
  void leave_if_asked();
  [[noreturn]] void leave(int signal);
  double epochs_done(int64_t epoch, int64_t batch) const;
  double epochs_done() const { return epochs_done(state_.epoch, state_.batch); }
  TrainOutcome outcome();
  void enter(Phase phase) const {
    log_.tell([&](TrainObserver& observer) { observer.on_phase(phase); });
  }

  TrainerSettings settings_;
  TrainerParts parts_;
  RunLog log_;
  TrainingPlan plan_;
  Schedule schedule_;
  std::unique_ptr<Sharding> sharding_;
  std::unique_ptr<Optimizer> optimizer_;
  std::unique_ptr<UpdateStep> step_;
  Checkpointer checkpointer_;
  Selection selection_;
  Period validation_period_;
  Period save_period_;
  TrainingState state_;
  std::deque<StartedUpdate> started_;
  int agreed_signal_ = 0;   // the ranks', as of the last update that was finished
  double last_time_ = 0.0;  // when the last update was finished, or the first of a series started
  std::string last_checkpoint_;
  int64_t saved_update_ = 0;
};

Trainer::Loop::Loop(TrainerSettings settings, TrainerParts parts)
    : settings_(std::move(settings)),
      parts_(std::move(parts)),
      log_(parts_.observers, settings_.train.log_every_updates),
      plan_(settings_.train, parts_.batches),
      schedule_(settings_.schedule, settings_.optimizer.learning_rate.value_or(0.0), plan_.total_updates()),
      sharding_(std::make_unique<Sharding>(parts_.model.arena(), parts_.communicator, settings_.parallel,
                                           gradient_type(parts_.model.arena(), parts_.batches))),
      optimizer_(make_optimizer(settings_.optimizer, sharding_->space(), sharding_->part_of(parts_.initial_masters))),
      step_(make_update_step(update_parts())),
      checkpointer_(settings_, parts_, *optimizer_, *sharding_),
      selection_(settings_.checkpoint, settings_.early_stopping),
      validation_period_(settings_.validation.every_updates, settings_.validation.every_epochs),
      save_period_(settings_.checkpoint.every_updates, settings_.checkpoint.every_epochs) {
  parts_.initial_masters.reset();
  sharding_->weights_changed();  // masters may be finer than the weights that were loaded
  state_.seed = settings_.seed;
  state_.world = parts_.communicator.world();
}

TrainOutcome Trainer::Loop::run() {
  start();
  validate_pending();
  while (!started_.empty() || !done_training()) {
    train_update();
    if (started_.empty()) leave_if_asked();
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
    if (state_.loss_scale) step_->restore(*state_.loss_scale);
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
  facts.gradient_type = gradient_type_name(sharding_->gradient_type());
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

bool Trainer::Loop::done_training() const {
  return plan_.updates_are_done(state_.update) || plan_.time_is_up(state_.training_seconds) ||
         selection_.should_stop(state_);
}

double Trainer::Loop::epochs_done(int64_t epoch, int64_t batch) const {
  const double in_epoch = static_cast<double>(parts_.batches.updates_in_epoch(epoch));
  return static_cast<double>(epoch) + static_cast<double>(batch) / in_epoch;
}

/// Starts the update that follows the last one started.
void Trainer::Loop::start_update() {
  if (started_.empty()) last_time_ = parts_.clock.monotonic_seconds();
  const bool first = started_.empty();
  const int64_t epoch = first ? state_.epoch : started_.back().epoch_after;
  const int64_t index = first ? state_.batch : started_.back().batch_after;
  StartedUpdate started;
  UpdateRecord& record = started.record;
  record.update = (first ? state_.update : started_.back().record.update) + 1;
  const GlobalBatch batch = parts_.batches.batch(epoch, index);
  const double learning_rate = schedule_.learning_rate(plan_.progress(record.update - 1, state_.training_seconds));
  try {
    step_->start(batch, record.update, learning_rate);
  } catch (const c10::Error& error) {
    if (!ops::is_out_of_memory(error)) throw;
    throw core::EnvironmentError(out_of_memory_text(update_parts(), batch, record.update, ops::asked_memory(error)));
  }
  record.learning_rate = optimizer_->effective_learning_rate({record.update, learning_rate, 1.0});
  record.examples = static_cast<int64_t>(batch.examples.size());
  record.source_tokens = batch.source_tokens;
  record.target_tokens = batch.target_tokens;
  record.lengths = length_products(batch, parts_.model.facts());
  started.epoch_before = epochs_done(epoch, index);
  const bool epoch_ends = index + 1 == parts_.batches.updates_in_epoch(epoch);
  started.epoch_after = epoch_ends ? epoch + 1 : epoch;
  started.batch_after = epoch_ends ? 0 : index + 1;
  record.epoch = epochs_done(started.epoch_after, started.batch_after);
  started_.push_back(std::move(started));
}

bool Trainer::Loop::due_after(const StartedUpdate& started, const Period& period) const {
  return period.due(started.record.update, started.epoch_before, started.record.epoch);
}

/// Whether the update after `started` may begin before `started` is finished: nothing stands between them.
bool Trainer::Loop::may_run_ahead(const StartedUpdate& started) const {
  return step_->runs_ahead() && !plan_.updates_are_done(started.record.update) &&
         !plan_.time_is_up(state_.training_seconds) && !(validates() && due_after(started, validation_period_)) &&
         !due_after(started, save_period_) && asked_to_stop() == 0;
}

/// Finishes the oldest update that was started.
void Trainer::Loop::finish_update() {
  const UpdateResult result = step_->finish();
  const StartedUpdate done = std::move(started_.front());
  started_.pop_front();
  UpdateRecord record = done.record;
  record.loss = result.loss;
  record.nll = result.nll;
  record.gradient_norm = result.gradient_norm;
  record.loss_scale = result.loss_scale;
  record.left_out = result.left_out;
  const double now = parts_.clock.monotonic_seconds();
  record.seconds = now - last_time_;
  last_time_ = now;
  agreed_signal_ = agree(parts_.communicator, record);
  state_.update = record.update;
  state_.training_seconds += record.seconds;
  state_.loss_sum += record.loss;
  state_.examples += record.examples;
  state_.source_tokens += record.source_tokens;
  state_.target_tokens += record.target_tokens;
  state_.epoch = done.epoch_after;
  state_.batch = done.batch_after;
  record.share = plan_.progress(state_.update, state_.training_seconds).share;
  log_.update_done(record, started_.empty() && done_training(), state_);
  after_update(done);
}

void Trainer::Loop::train_update() {
  if (started_.empty()) {
    try {
      start_update();
    } catch (const core::StoppedBySignal& stopped) {
      leave(stopped.exit_code() - 128);  // what was done of the update is done again
    }
  }
  while (started_.size() < kUpdatesUnderWay && may_run_ahead(started_.back())) start_update();
  finish_update();
}

/// Validates and saves what is due. The last update is always due for both. While another update is under way nothing
/// is due (may_run_ahead).
void Trainer::Loop::after_update(const StartedUpdate& done) {
  if (!started_.empty()) return;
  const bool last = done_training();
  state_.validation_pending = validates() && (last || due_after(done, validation_period_));
  leave_if_asked();
  validate_pending();
  if (saved_update_ != state_.update && (last || due_after(done, save_period_))) save();
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
  parts_.communicator.set_phase(state_.update, "validation");
  const WholeWeights whole(*sharding_);
  const double begin = parts_.clock.monotonic_seconds();
  ValidationRecord record;
  record.update = state_.update;
  record.epoch = epochs_done();
  if (settings_.validation.loss && parts_.validation != nullptr) {
    const ValidationLoss loss =
        validation_loss(parts_.model, *parts_.validation, settings_.train.label_smoothing, parts_.communicator);
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
  state_.loss_scale = step_->loss_scale();
  last_checkpoint_ = checkpointer_.save(state_);
  saved_update_ = state_.update;
  log_.tell([&](TrainObserver& observer) { observer.on_save(last_checkpoint_, state_.update); });
  enter(Phase::kTrain);
}

void Trainer::Loop::leave_if_asked() {
  if (const int signal = asked_to_stop()) leave(signal);
}

void Trainer::Loop::leave(int signal) {
  if (state_.update == 0) throw core::StoppedBySignal("stopped before the first update; nothing was saved", signal);
  if (saved_update_ != state_.update) save();
  std::string text = "saved step " + std::to_string(state_.update);
  if (!settings_.resume_hint.empty()) text += "; resume with " + settings_.resume_hint;
  throw core::StoppedBySignal(text, signal);
}

TrainOutcome Trainer::Loop::outcome() {
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
  result.gpu = step_->gpu_work();
  result.rank_work = rank_work_of(update_parts());
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
