#pragma once

#include <ATen/ATen.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "fake_model.h"
#include "txtsum/core/stop_signal.h"
#include "txtsum/parallel/communicator.h"
#include "txtsum/train/dataset_batches.h"
#include "txtsum/train/trainer.h"

namespace txtsum::tests {

/// A clock that goes on by `step_seconds` at every reading.
class FakeClock final : public core::Clock {
 public:
  explicit FakeClock(double step_seconds) : step_seconds_(step_seconds) {}
  double monotonic_seconds() const override { return now_ += step_seconds_; }
  double unix_seconds() const override { return now_; }

 private:
  double step_seconds_;
  mutable double now_ = 0.0;
};

/// Writes down what it is told; raises a stop signal in the middle of update `stop_in_update`.
class Recorder final : public train::TrainObserver {
 public:
  void on_start(const train::RunFacts& started) override { facts = started; }
  void on_phase(train::Phase phase) override { phases.push_back(phase); }
  void on_update(const train::UpdateRecord& record) override {
    updates.push_back(record);
    events.push_back("update " + std::to_string(record.update));
    if (record.update == stop_in_update) core::set_stop_signal(15);
  }
  void on_log(const train::LogRecord& record) override { logs.push_back(record); }
  void on_validation(const train::ValidationRecord& record) override {
    validations.push_back(record);
    events.push_back("validate " + std::to_string(record.update));
  }
  void on_save(const std::string&, int64_t update) override { events.push_back("save " + std::to_string(update)); }
  void on_finish(const train::TrainOutcome&) override { events.push_back("finish"); }

  int64_t stop_in_update = -1;
  train::RunFacts facts;
  std::vector<train::Phase> phases;
  std::vector<train::UpdateRecord> updates;
  std::vector<train::LogRecord> logs;
  std::vector<train::ValidationRecord> validations;
  std::vector<std::string> events;
};

/// Ten examples of one to six tokens a side.
inline data::Dataset tiny_dataset() {
  std::vector<std::vector<int32_t>> sources, targets;
  for (int32_t i = 0; i < 10; ++i) {
    std::vector<int32_t> source, target;
    for (int32_t t = 0; t < 1 + (i * 7) % 6; ++t) source.push_back(3 + (i * 5 + t * 3) % 17);
    for (int32_t t = 0; t < 1 + (i * 3) % 4; ++t) target.push_back(3 + (i + t * 2) % 17);
    target.push_back(2);
    sources.push_back(source);
    targets.push_back(target);
  }
  return data::Dataset::from_ids(sources, targets);
}

/// Everything that one attempt of a training needs, around a FakeModel.
struct Attempt {
  explicit Attempt(const std::string& folder, at::ScalarType dtype = at::kFloat, std::vector<std::string> frozen = {})
      : model(dtype, std::move(frozen)), data(tiny_dataset()) {
    settings.train.epochs = 2;
    settings.train.batch_size = 4;
    settings.train.clip_norm = 0.5;
    settings.train.label_smoothing = 0.1;
    settings.train.log_every_updates = 2;
    settings.optimizer.learning_rate = 5e-2;
    settings.optimizer.weight_decay = 0.01;
    settings.schedule.warmup_updates = 2;
    settings.checkpoint.keep_last.reset();
    settings.checkpoint_folder = folder;
    settings.resume_hint = "txtsum train x.yaml";
    settings.validation.generate = false;
  }
  ~Attempt() { core::set_stop_signal(0); }

  train::TrainOutcome run() {
    settings.train.complete();
    settings.optimizer.complete();
    settings.schedule.complete();
    settings.validation.complete();
    settings.checkpoint.complete();
    batches = std::make_unique<train::DatasetBatches>(data, settings.train, settings.seed, /*prefetch_batches=*/2,
                                                      share, encoder_cache);
    train::DatasetMicroBatches validation(data, 12);
    train::TrainerParts parts{model, *batches, *communicator, clock, nullptr, evaluator, write_folder,
                              {},    {},       {&recorder}};
    if (validates_loss) parts.validation = &validation;
    train::Trainer trainer(settings, std::move(parts));
    return trainer.run();
  }

  at::Tensor weights() const { return model.arena().values().clone(); }

  FakeModel model;
  data::Dataset data;
  train::TrainerSettings settings;
  train::Evaluator evaluator;
  bool validates_loss = false;
  train::FolderWriter write_folder = [](const std::string&) {};
  train::RankShare share;
  const train::EncoderCache* encoder_cache = nullptr;
  std::unique_ptr<parallel::Communicator> communicator = parallel::make_single_communicator();
  FakeClock clock{0.5};
  Recorder recorder;
  std::unique_ptr<train::DatasetBatches> batches;
};

}  // namespace txtsum::tests
