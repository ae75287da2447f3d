#include "document_queue.h"

#include <algorithm>
#include <numeric>
#include <string>
#include <utility>

#include "txtsum/core/check.h"
#include "txtsum/core/error.h"
#include "txtsum/core/stop_signal.h"

namespace txtsum::generate {

DocumentQueue::DocumentQueue(const SourceSet& sources, int64_t slots, std::function<void()> between_steps)
    : sources_(sources), between_steps_(std::move(between_steps)), slots_(std::min(slots, sources.size)) {
  order_.resize(static_cast<size_t>(sources.size));
  std::iota(order_.begin(), order_.end(), int64_t{0});
  std::stable_sort(order_.begin(), order_.end(),
                   [&](int64_t a, int64_t b) { return sources.ids(a).size() > sources.ids(b).size(); });
  if (!order_.empty()) longest_ = static_cast<int64_t>(sources.ids(order_.front()).size());
}

bool DocumentQueue::admits(const std::vector<bool>& taken) const {
  const int64_t running = std::count(taken.begin(), taken.end(), true), free = slots_ - running;
  return next_ < order_.size() && free > 0 && (free * 4 >= slots_ || running == 0);
}

Admission DocumentQueue::admit(const std::vector<bool>& taken) {
  Admission admission;
  if (!admits(taken)) return admission;
  std::vector<int64_t> ids, offsets{0};
  for (int64_t slot = 0; slot < slots_ && next_ < order_.size(); ++slot) {
    if (taken[static_cast<size_t>(slot)]) continue;
    const int64_t example = order_[next_++];
    const std::span<const int32_t> source = sources_.ids(example);
    TXTSUM_CHECK(!source.empty(), "document ", example);
    ids.insert(ids.end(), source.begin(), source.end());
    offsets.push_back(static_cast<int64_t>(ids.size()));
    admission.slots.push_back(slot);
    admission.examples.push_back(example);
    admission.sources.push_back(source);
  }
  admission.tokens = ops::make_ragged_tokens(std::move(ids), std::move(offsets), admission.examples);
  return admission;
}

void DocumentQueue::step() const {
  check_signal();
  if (between_steps_) between_steps_();
}

void DocumentQueue::check_signal() const {
  const int signal = core::stop_signal();
  if (signal == 0) return;
  throw core::StoppedBySignal(
      "generation stopped; " + std::to_string(order_.size() - delivered_) + " documents are left", signal);
}

}  // namespace txtsum::generate
