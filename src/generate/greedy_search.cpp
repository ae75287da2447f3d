#include "greedy_search.h"

#include <algorithm>
#include <cmath>

#include "txtsum/core/error.h"

namespace txtsum::generate {

bool GreedySearch::step(std::span<const float> scores, std::span<const float> raw) {
  const auto best = std::max_element(scores.begin(), scores.end());
  if (!std::isfinite(*best))
    throw core::DataError("generation: the model's scores are not finite, or the rules forbid every token");
  const size_t id = static_cast<size_t>(best - scores.begin());
  // log softmax of the model's own logits at the chosen id
  const float largest = *std::max_element(raw.begin(), raw.end());
  double total = 0.0;
  for (const float logit : raw) total += std::exp(static_cast<double>(logit - largest));
  log_probability_ += static_cast<double>(raw[id] - largest) - std::log(total);
  ids_.push_back(static_cast<int64_t>(id));
  const bool ended = std::count(settings_.eos_ids.begin(), settings_.eos_ids.end(), ids_.back()) > 0;
  return !ended && static_cast<int64_t>(ids_.size()) < settings_.max_length;
}

std::vector<Hypothesis> GreedySearch::results() const {
  const double length = static_cast<double>(ids_.size() - 1);
  return {{ids_, log_probability_ / std::pow(length, settings_.length_penalty)}};
}

}  // namespace txtsum::generate
