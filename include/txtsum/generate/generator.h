#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "txtsum/generate/settings.h"
#include "txtsum/model/seq2seq_model.h"

namespace txtsum::generate {

/// One summary as ids.
struct Hypothesis {
  std::vector<int64_t>
      ids;  ///< As transformers returns them: start token first, end token last where one was made; no padding.
  double score = 0.0;  ///< Sum of log-probabilities / length^length_penalty (transformers' sequences_scores).
};

/// The documents to summarize.
struct SourceSet {
  int64_t size = 0;
  std::function<std::span<const int32_t>(int64_t)> ids;  ///< Source token ids of one document; at least one.
};

/// What the decoder computed, for counting FLOPs. A row is one position of one hypothesis.
struct GenerationCounts {
  int64_t decoder_rows = 0;
  double self_positions = 0;   ///< Sum over the rows of the positions attended to, the own one included.
  double cross_positions = 0;  ///< Sum over the rows of their document's source tokens.
};

/// Called once a document, in the order in which they finish; hypotheses best first.
using HypothesisSink = std::function<void(int64_t index, std::vector<Hypothesis> hypotheses)>;

/// Generates for every document of `sources`. `settings.slots` documents decode side by side; the longest start first,
/// and a slot that becomes free is filled again. The result does not depend on which documents share a step, up to
/// rounding. Throws StoppedBySignal between steps, where `between_steps` is called too and may throw; what the sink was
/// given stays valid.
GenerationCounts generate(const model::Seq2SeqModel& model, const GenerationSettings& settings,
                          const SourceSet& sources, const HypothesisSink& sink,
                          const std::function<void()>& between_steps = {});

}  // namespace txtsum::generate
