#include "greedy_search.h"

#include <algorithm>
#include <cmath>

namespace txtsum::generate {

bool GreedySearch::take(const std::vector<Candidate>& candidates) {
  const Candidate& best = candidates.front();
  log_probability_ += best.log_probability;
  ids_.push_back(best.id);
  const bool ended = std::count(settings_.eos_ids.begin(), settings_.eos_ids.end(), ids_.back()) > 0;
  return !ended && static_cast<int64_t>(ids_.size()) < settings_.max_length;
}

std::vector<Hypothesis> GreedySearch::results() const {
  const double length = static_cast<double>(ids_.size() - 1);
  return {{ids_, log_probability_ / std::pow(length, settings_.length_penalty)}};
}

}  // namespace txtsum::generate
