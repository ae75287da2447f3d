#include "device_generation.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "logits_rules.h"
#include "txtsum/ops/device_graph.h"
#include "txtsum/ops/device_search.h"

namespace txtsum::generate {
namespace {

ops::SearchRules search_rules(const GenerationSettings& settings, const model::ModelFacts& facts) {
  const LogitsRules logits_rules(settings);
  ops::SearchRules rules;
  rules.beams = settings.beams;
  rules.vocabulary = facts.vocabulary;
  rules.max_length = settings.max_length;
  rules.min_length = settings.min_length;
  rules.no_repeat_ngram = settings.no_repeat_ngram;
  rules.source_no_repeat_ngram = settings.encoder_no_repeat_ngram;
  rules.length_penalty = settings.length_penalty;
  rules.repetition_penalty = settings.repetition_penalty;
  rules.renormalize = settings.renormalize_logits;
  rules.stop_when_full = settings.early_stopping == config::BeamStop::kTrue;
  rules.hope_for_longest = settings.early_stopping == config::BeamStop::kNever && settings.length_penalty > 0.0;
  rules.start_id = settings.decoder_start_id;
  rules.eos_ids = settings.eos_ids;
  rules.forced_first = logits_rules.forced_first();
  rules.forced_last = logits_rules.forced_last();
  rules.suppressed = settings.suppress_tokens;
  rules.bad_words = settings.bad_words;
  return rules;
}

class DeviceGeneration {
 public:
  DeviceGeneration(const model::Seq2SeqModel& model, const GenerationSettings& settings, const SourceSet& sources,
                   const HypothesisSink& sink, const std::function<void()>& between_steps)
      : model_(model),
        settings_(settings),
        sources_(sources),
        sink_(sink),
        queue_(sources, settings.slots, between_steps),
        search_(search_rules(settings, model.facts()), queue_.slots(), queue_.longest(), model.arena().device()),
        session_(model.start_device_decoding({queue_.slots(), settings.beams, queue_.longest(), settings.max_length},
                                             search_.rows())),
        pool_(model.arena().device()),
        running_(static_cast<size_t>(queue_.slots()), false),
        examples_(running_.size(), -1) {}

  GenerationCounts run() {
    while (true) {
      queue_.step();
      if (queue_.admits(running_) || !any_runs()) {
        while (search_.asked() > 0) listen();
        deliver();
        if (queue_.admits(running_)) admit();
        if (!any_runs()) return counts_;
      }
      step();
      search_.ask();
      // The GPU has the next step before the host knows what came of this one.
      if (search_.asked() > kStepsUnderWay) listen();
    }
  }

 private:
  static constexpr int64_t kStepsUnderWay = 1;

  bool any_runs() const { return std::find(running_.begin(), running_.end(), true) != running_.end(); }

  void listen() { running_ = search_.running(); }

  void admit() {
    const at::NoGradGuard no_grad;
    const Admission admission = queue_.admit(running_);
    const ops::RaggedTokens source = ops::to_device(admission.tokens, model_.arena().device());
    session_->admit(admission.slots, model_.encode(source, {}), source);
    search_.start(admission.slots, admission.sources);
    for (size_t i = 0; i < admission.slots.size(); ++i) {
      const auto slot = static_cast<size_t>(admission.slots[i]);
      running_[slot] = true;
      examples_[slot] = admission.examples[i];
    }
  }

  void step() {
    const at::NoGradGuard no_grad;
    const auto run = [this] { search_.step(session_->logits()); };
    // The first step runs eagerly, which loads the kernels that the graph launches.
    if (steps_++ == 0) return run();
    if (!graph_) graph_ = pool_.capture(run);
    graph_->replay();
  }

  /// Hands out what the slots that rest have found.
  void deliver() {
    std::vector<int64_t> slots;
    for (size_t slot = 0; slot < running_.size(); ++slot) {
      if (!running_[slot] && examples_[slot] >= 0) slots.push_back(static_cast<int64_t>(slot));
    }
    if (slots.empty()) return;
    std::vector<ops::SearchResult> results = search_.results(slots);
    for (size_t i = 0; i < slots.size(); ++i) {
      int64_t& example = examples_[static_cast<size_t>(slots[i])];
      count(results[i].steps, example);
      sink_(example, hypotheses_of(std::move(results[i])));
      queue_.delivered();
      example = -1;
    }
  }

  void count(int64_t steps, int64_t example) {
    const auto rows = static_cast<double>(steps * settings_.beams);
    counts_.decoder_rows += steps * settings_.beams;
    counts_.self_positions += rows * static_cast<double>(steps + 1) / 2.0;
    counts_.cross_positions += rows * static_cast<double>(sources_.ids(example).size());
  }

  std::vector<Hypothesis> hypotheses_of(ops::SearchResult result) const {
    std::vector<Hypothesis> hypotheses;
    for (size_t rank = 0; rank < result.ids.size(); ++rank) {
      if (static_cast<int64_t>(rank) == settings_.hypotheses) break;
      double score = result.scores[rank];
      if (settings_.beams == 1) {
        score /= std::pow(static_cast<double>(result.ids[rank].size() - 1), settings_.length_penalty);
      }
      hypotheses.push_back({std::move(result.ids[rank]), score});
    }
    return hypotheses;
  }

  const model::Seq2SeqModel& model_;
  const GenerationSettings& settings_;
  const SourceSet& sources_;
  const HypothesisSink& sink_;
  DocumentQueue queue_;
  ops::DeviceSearch search_;
  std::unique_ptr<model::DeviceDecodingSession> session_;
  ops::DevicePool pool_;
  std::unique_ptr<ops::DeviceGraph> graph_;
  std::vector<bool> running_;      // by slot; what the host knows
  std::vector<int64_t> examples_;  // by slot; -1: free
  GenerationCounts counts_;
  int64_t steps_ = 0;
};

}  // namespace

GenerationCounts generate_on_device(const model::Seq2SeqModel& model, const GenerationSettings& settings,
                                    const SourceSet& sources, const HypothesisSink& sink,
                                    const std::function<void()>& between_steps) {
  return DeviceGeneration(model, settings, sources, sink, between_steps).run();
}

}  // namespace txtsum::generate
