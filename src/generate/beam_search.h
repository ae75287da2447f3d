#pragma once

#include "search.h"

namespace txtsum::generate {

/// transformers' beam search for one document (generation/utils.py, _beam_search, 5.17), with its arithmetic in fp32:
/// the same candidates, the same hypotheses kept, the same three rules for stopping.
class BeamSearch final : public Search {
 public:
  explicit BeamSearch(const GenerationSettings& settings);

  std::span<const int64_t> ids(int64_t beam) const override { return running_[static_cast<size_t>(beam)].ids; }
  bool uses_log_probabilities() const override { return true; }
  bool step(std::span<const float> scores, std::span<const float> raw) override;
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
  struct Candidate {
    float score = 0.0f;
    int64_t parent = 0;
    int64_t id = 0;
    bool ends = false;
  };

  std::vector<Candidate> best_candidates(std::span<const float> scores) const;
  void keep_finished(const std::vector<Candidate>& candidates);
  void advance(const std::vector<Candidate>& candidates);
  bool improvement_possible() const;
  bool full() const { return static_cast<int64_t>(finished_.size()) == settings_.beams; }
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
