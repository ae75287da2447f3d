#include "candidates.h"

#include <algorithm>
#include <cmath>

#include "txtsum/core/error.h"

namespace txtsum::generate {
namespace {

bool better(const Candidate& a, const Candidate& b) { return a.score > b.score; }

}  // namespace

CandidateChoice::CandidateChoice(const Search& search)
    : search_(search), wanted_(static_cast<size_t>(search.candidates_wanted())) {
  heap_.reserve(wanted_ + 1);
}

void CandidateChoice::start_beam(int64_t beam, float token_score, int64_t id) {
  beam_ = beam;
  offset_ = search_.running_score(beam);
  offer(beam, token_score, id);
}

void CandidateChoice::push(const Candidate& candidate) {
  if (std::isnan(candidate.score)) return;
  heap_.push_back(candidate);
  std::push_heap(heap_.begin(), heap_.end(), better);
  if (heap_.size() <= wanted_) return;
  std::pop_heap(heap_.begin(), heap_.end(), better);
  heap_.pop_back();
}

std::vector<Candidate> CandidateChoice::best_first() {
  if (heap_.size() < wanted_ ||
      std::all_of(heap_.begin(), heap_.end(), [](const Candidate& c) { return std::isinf(c.score); })) {
    throw core::DataError("generation: the model's scores are not numbers, or the rules forbid every token");
  }
  std::sort_heap(heap_.begin(), heap_.end(), better);
  return std::move(heap_);
}

std::vector<Candidate> best_candidates(const Search& search, std::span<const float> scores,
                                       std::span<const float> raw) {
  const auto beams = static_cast<size_t>(search.beams());
  const size_t vocabulary = scores.size() / beams;
  CandidateChoice choice(search);
  for (size_t beam = 0; beam < beams; ++beam) {
    const float* row = scores.data() + beam * vocabulary;
    for (size_t id = 0; id < vocabulary; ++id) {
      choice.offer(static_cast<int64_t>(beam), row[id], static_cast<int64_t>(id));
    }
  }
  std::vector<Candidate> best = choice.best_first();
  if (!search.uses_log_probabilities()) {
    // log softmax of the model's own logits at the chosen id
    const float largest = *std::max_element(raw.begin(), raw.end());
    double total = 0.0;
    for (const float logit : raw) total += std::exp(static_cast<double>(logit - largest));
    Candidate& chosen = best.front();
    chosen.log_probability = static_cast<double>(raw[static_cast<size_t>(chosen.id)] - largest) - std::log(total);
  }
  return best;
}

}  // namespace txtsum::generate
