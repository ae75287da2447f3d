#pragma once

#include "search.h"

namespace txtsum::generate {

/// transformers' beam search for one document (generation/utils.py, _beam_search, 5.17), with its arithmetic in fp32:
/// the same candidates, the same hypotheses kept, the same three rules for stopping.
class BeamSearch final : public Search {
 public:
  explicit BeamSearch(const GenerationSettings& settings);

  std::span<const int64_t> ids(int64_t beam) const override { return running_[static_cast<size_t>(beam)].ids; }
  int64_t beams() const override { return settings_.beams; }
  bool uses_log_probabilities() const override { return true; }
  float running_score(int64_t beam) const override { return running_[static_cast<size_t>(beam)].score; }
  int64_t candidates_wanted() const override;
  bool take(const std::vector<Candidate>& candidates) override;
  const std::vector<int64_t>& parents() const override { return parents_; }
  std::vector<Hypothesis> results() const override;

 private:
  struct Running {
    std::vector<int64_t> ids;
    float score = 0.0f;
  };
  struct Finished {
    std::vector<int64_t> ids;
    float score = 0.0f;
  };
  void keep_finished(const std::vector<Candidate>& candidates);
  void advance(const std::vector<Candidate>& candidates);
  bool improvement_possible() const;
  bool full() const { return static_cast<int64_t>(finished_.size()) == settings_.beams; }
  bool ends(const Candidate& candidate) const;
  std::vector<int64_t> extended(const Candidate& candidate) const;
  float penalized(float score, int64_t length) const;

  const GenerationSettings& settings_;
  std::vector<Running> running_;
  std::vector<Finished> finished_;  // best first; at most `beams`
  std::vector<int64_t> parents_;
  int64_t length_ = 1;  // of the running hypotheses, start token included
  bool can_improve_ = true;
};

}  // namespace txtsum::generate
