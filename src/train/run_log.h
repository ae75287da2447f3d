#pragma once

#include <functional>
#include <vector>

#include "txtsum/train/checkpoint.h"
#include "txtsum/train/observer.h"
#include "txtsum/train/trainer.h"

namespace txtsum::train {

/// Tells every observer, and adds updates up to log records.
class RunLog {
 public:
  RunLog(std::vector<TrainObserver*> observers, int64_t log_every_updates);

  template <typename Tell>
  void tell(const Tell& one) const {
    for (TrainObserver* observer : observers_) one(*observer);
  }
  /// Enters an update into the sums of `state` and tells it; a log record too when one is due or `last`.
  void update_done(const UpdateRecord& record, bool last, TrainingState& state) const;

  /// Tells what is left in the sums as a last log record.
  void flush(TrainingState& state) const;

 private:
  std::vector<TrainObserver*> observers_;
  int64_t log_every_updates_;
};

}  // namespace txtsum::train
