#include "beam_search.h"

#include <algorithm>
#include <cmath>

#include "greedy_search.h"

namespace txtsum::generate {
namespace {

/// What transformers adds to a score to take it out of the choice.
constexpr float kOut = -1.0e9f;

}  // namespace

BeamSearch::BeamSearch(const GenerationSettings& settings) : settings_(settings) {
  for (int64_t beam = 0; beam < settings.beams; ++beam) {
    // Only the first hypothesis counts at the start, or all would choose the same tokens.
    running_.push_back({{settings.decoder_start_id}, beam == 0 ? 0.0f : kOut});
    parents_.push_back(beam);
  }
}

float BeamSearch::penalized(float score, int64_t length) const {
  return score / static_cast<float>(std::pow(static_cast<double>(length), settings_.length_penalty));
}

int64_t BeamSearch::candidates_wanted() const {
  const int64_t ends = std::max<int64_t>(2, 1 + static_cast<int64_t>(settings_.eos_ids.size()));
  return ends * settings_.beams;
}

bool BeamSearch::ends(const Candidate& candidate) const {
  const bool eos = std::count(settings_.eos_ids.begin(), settings_.eos_ids.end(), candidate.id) > 0;
  return eos || length_ + 1 >= settings_.max_length;
}

std::vector<int64_t> BeamSearch::extended(const Candidate& candidate) const {
  std::vector<int64_t> ids = running_[static_cast<size_t>(candidate.parent)].ids;
  ids.push_back(candidate.id);
  return ids;
}

void BeamSearch::keep_finished(const std::vector<Candidate>& candidates) {
  if (!can_improve_ || (full() && settings_.early_stopping == config::BeamStop::kTrue)) return;
  // Candidates behind the first `beams` only stand by to keep the search going.
  for (size_t i = 0; i < running_.size(); ++i) {
    if (ends(candidates[i])) finished_.push_back({extended(candidates[i]), penalized(candidates[i].score, length_)});
  }
  std::stable_sort(finished_.begin(), finished_.end(),
                   [](const Finished& a, const Finished& b) { return a.score > b.score; });
  if (finished_.size() > running_.size()) finished_.resize(running_.size());
}

void BeamSearch::advance(const std::vector<Candidate>& candidates) {
  std::vector<Candidate> next = candidates;
  for (Candidate& candidate : next) {
    if (ends(candidate)) candidate.score += kOut;
  }
  std::stable_sort(next.begin(), next.end(), [](const Candidate& a, const Candidate& b) { return a.score > b.score; });
  std::vector<Running> running;
  for (size_t beam = 0; beam < running_.size(); ++beam) {
    running.push_back({extended(next[beam]), next[beam].score});
    parents_[beam] = next[beam].parent;
  }
  running_ = std::move(running);
}

bool BeamSearch::improvement_possible() const {
  if (!full()) return true;
  const bool longest = settings_.early_stopping == config::BeamStop::kNever && settings_.length_penalty > 0.0;
  const float best = penalized(running_.front().score, (longest ? settings_.max_length : length_) - 1);
  return best > finished_.back().score;
}

bool BeamSearch::take(const std::vector<Candidate>& candidates) {
  const bool all_end =
      std::all_of(candidates.begin(), candidates.end(), [this](const Candidate& c) { return ends(c); });
  keep_finished(candidates);
  advance(candidates);
  ++length_;
  can_improve_ = can_improve_ && improvement_possible();
  const bool complete = full() && settings_.early_stopping == config::BeamStop::kTrue;
  return can_improve_ && !complete && !all_end;
}

std::vector<Hypothesis> BeamSearch::results() const {
  std::vector<Hypothesis> results;
  for (const Finished& finished : finished_) {
    if (static_cast<int64_t>(results.size()) == settings_.hypotheses) break;
    results.push_back({finished.ids, finished.score});
  }
  return results;
}

std::unique_ptr<Search> start_search(const GenerationSettings& settings) {
  if (settings.beams == 1) return std::make_unique<GreedySearch>(settings);
  return std::make_unique<BeamSearch>(settings);
}

}  // namespace txtsum::generate
