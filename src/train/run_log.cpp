#include "run_log.h"

#include <algorithm>
#include <utility>

namespace txtsum::train {

RunLog::RunLog(std::vector<TrainObserver*> observers, int64_t log_every_updates)
    : observers_(std::move(observers)), log_every_updates_(log_every_updates) {}

void RunLog::update_done(const UpdateRecord& record, bool last, TrainingState& state) const {
  tell([&](TrainObserver& observer) { observer.on_update(record); });
  LogRecord& window = state.window;
  window.last = record;
  window.updates += 1;
  window.loss += record.loss;
  window.nll += record.nll;
  window.gradient_norm += record.gradient_norm;
  window.left_out += record.left_out ? 1 : 0;
  window.examples += record.examples;
  window.source_tokens += record.source_tokens;
  window.target_tokens += record.target_tokens;
  window.seconds += record.seconds;
  if (last || record.update % log_every_updates_ == 0) flush(state);
}

void RunLog::flush(TrainingState& state) const {
  if (state.window.updates == 0) return;
  LogRecord means = state.window;
  const double count = static_cast<double>(means.updates);
  means.loss /= count;
  means.nll /= count;
  means.gradient_norm /= static_cast<double>(std::max<int64_t>(1, means.updates - means.left_out));
  tell([&](TrainObserver& observer) { observer.on_log(means); });
  state.window = LogRecord{};
}

}  // namespace txtsum::train
