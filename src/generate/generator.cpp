#include "txtsum/generate/generator.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <limits>
#include <memory>
#include <numeric>

#include "candidates.h"
#include "logits_rules.h"
#include "search.h"
#include "txtsum/core/check.h"
#include "txtsum/core/error.h"
#include "txtsum/core/stop_signal.h"
#include "txtsum/ops/device.h"

namespace txtsum::generate {
namespace {

/// One place of the decoding session.
struct Slot {
  int64_t example = -1;  // -1: free
  std::unique_ptr<Search> search;
  bool running = false;
};

int64_t longest_of(const SourceSet& sources) {
  int64_t longest = 0;
  for (int64_t i = 0; i < sources.size; ++i) longest = std::max(longest, static_cast<int64_t>(sources.ids(i).size()));
  return longest;
}

/// What was asked, what the caches hold, and which setting makes them smaller by how much.
std::string out_of_memory_text(const model::Seq2SeqModel& model, const GenerationSettings& settings,
                               const SourceSet& sources, const std::string& asked) {
  const model::ModelFacts& facts = model.facts();
  const int64_t slots = std::min(settings.slots, sources.size), longest = longest_of(sources);
  const auto gib = [&](int64_t positions) {
    const double bytes = static_cast<double>(positions * 2 * facts.attention_width * facts.decoder_layers) *
                         static_cast<double>(c10::elementSize(model.arena().dtype()));
    char text[32];
    std::snprintf(text, sizeof(text), "%.2f GiB", bytes / (1024.0 * 1024.0 * 1024.0));
    return std::string(text);
  };
  const int64_t own = slots * settings.beams * settings.max_length, sources_held = slots * longest;
  std::string text = model.arena().device().is_cuda() ? "out of GPU memory" : "out of memory";
  text += " while generating";
  if (!asked.empty()) text += ": asked for " + asked + " more";
  return text + "\ncaches of keys and values: " + gib(own) + " of the hypotheses (" + std::to_string(slots) +
         " slots x " + std::to_string(settings.beams) + " beams x " + std::to_string(settings.max_length) +
         " tokens), " + gib(sources_held) + " of the sources (" + std::to_string(slots) + " slots x " +
         std::to_string(longest) +
         " tokens)\nWhat lowers the peak:\n  generation.slots=" + std::to_string(std::max<int64_t>(1, slots / 2)) +
         " (the same summaries): " + gib((own + sources_held) / 2) +
         " less\n  generation.beams or generation.max_new_tokens, halved: " + gib(own / 2) + " less";
}

/// All documents through a fixed number of slots.
class Generation {
 public:
  Generation(const model::Seq2SeqModel& model, const GenerationSettings& settings, const SourceSet& sources,
             const HypothesisSink& sink)
      : model_(model), settings_(settings), rules_(settings_), sources_(sources), sink_(sink) {
    order_.resize(static_cast<size_t>(sources.size));
    std::iota(order_.begin(), order_.end(), int64_t{0});
    std::stable_sort(order_.begin(), order_.end(),
                     [&](int64_t a, int64_t b) { return sources.ids(a).size() > sources.ids(b).size(); });
    slots_.resize(static_cast<size_t>(std::min(settings.slots, sources.size)));
  }

  GenerationCounts run() {
    if (order_.empty()) return counts_;
    const int64_t longest = static_cast<int64_t>(sources_.ids(order_.front()).size());
    session_ =
        model_.start_decoding({static_cast<int64_t>(slots_.size()), settings_.beams, longest, settings_.max_length});
    while (true) {
      if (const int signal = core::stop_signal(); signal != 0) {
        throw core::StoppedBySignal(
            "generation stopped; " + std::to_string(order_.size() - delivered_) + " documents are left", signal);
      }
      fill_slots();
      if (running() == 0) return counts_;
      step();
      deliver();
    }
  }

 private:
  int64_t running() const {
    return std::count_if(slots_.begin(), slots_.end(), [](const Slot& slot) { return slot.running; });
  }

  /// Encodes waiting documents into free slots; waits until a quarter is free, so that the encoder sees a batch.
  void fill_slots() {
    const size_t free = slots_.size() - static_cast<size_t>(running());
    if (next_ == order_.size() || free == 0 || (free * 4 < slots_.size() && running() > 0)) return;
    std::vector<int64_t> ids, offsets{0}, numbers, places;
    for (size_t place = 0; place < slots_.size() && next_ < order_.size(); ++place) {
      if (slots_[place].running) continue;
      const int64_t example = order_[next_++];
      const std::span<const int32_t> source = sources_.ids(example);
      TXTSUM_CHECK(!source.empty(), "document ", example);
      ids.insert(ids.end(), source.begin(), source.end());
      offsets.push_back(static_cast<int64_t>(ids.size()));
      numbers.push_back(example);
      places.push_back(static_cast<int64_t>(place));
      slots_[place] = {example, start_search(settings_), true};
    }
    const at::NoGradGuard no_grad;
    const ops::RaggedTokens source =
        ops::to_device(ops::make_ragged_tokens(std::move(ids), std::move(offsets), numbers), model_.arena().device());
    session_->admit(places, model_.encode(source, {}), source);
  }

  void step() {
    const at::NoGradGuard no_grad;
    std::vector<int64_t> rows, last_ids, active;
    for (size_t place = 0; place < slots_.size(); ++place) {
      if (!slots_[place].running) continue;
      active.push_back(static_cast<int64_t>(place));
      for (int64_t beam = 0; beam < settings_.beams; ++beam) {
        rows.push_back(static_cast<int64_t>(place) * settings_.beams + beam);
        const std::span<const int64_t> ids = slots_[place].search->ids(beam);
        last_ids.push_back(ids.back());
        counts_.decoder_rows += 1;
        counts_.self_positions += static_cast<double>(ids.size());
        counts_.cross_positions += static_cast<double>(sources_.ids(slots_[place].example).size());
      }
    }
    const at::Tensor logits = session_->step(rows, last_ids);
    if (logits.is_cuda()) {
      search_on_device(active, rows, logits);
    } else {
      search(active, logits);
    }
    std::vector<int64_t> moved_rows, parents;
    for (const int64_t place : active) {
      const Slot& slot = slots_[static_cast<size_t>(place)];
      if (!slot.running) continue;
      for (int64_t beam = 0; beam < settings_.beams; ++beam) {
        moved_rows.push_back(place * settings_.beams + beam);
        parents.push_back(place * settings_.beams + slot.search->parents()[static_cast<size_t>(beam)]);
      }
    }
    session_->reorder(moved_rows, parents);
  }

  /// Calls `body(i, slot)` for every active slot; documents are independent and run on all threads.
  template <typename Body>
  void for_slots(const std::vector<int64_t>& active, const Body& body) {
    at::parallel_for(0, static_cast<int64_t>(active.size()), 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        body(static_cast<size_t>(i), slots_[static_cast<size_t>(active[static_cast<size_t>(i)])]);
      }
    });
  }

  TokenRules rules_of(const Slot& slot, size_t beam) const {
    return rules_.rules(slot.search->ids(static_cast<int64_t>(beam)), sources_.ids(slot.example));
  }

  /// Applies the rules and extends the hypotheses of all active slots.
  void search(const std::vector<int64_t>& active, const at::Tensor& logits) {
    const at::Tensor raw = (settings_.beams > 1 ? at::log_softmax(logits, 1) : logits).contiguous();
    const at::Tensor scores = settings_.beams > 1 ? raw : raw.clone();
    const size_t vocabulary = static_cast<size_t>(scores.size(1)), beams = static_cast<size_t>(settings_.beams);
    float* score_data = scores.mutable_data_ptr<float>();
    const float* raw_data = raw.const_data_ptr<float>();
    for_slots(active, [&](size_t i, Slot& slot) {
      const size_t first = i * beams * vocabulary;
      for (size_t beam = 0; beam < beams; ++beam) {
        rules_.apply({score_data + first + beam * vocabulary, vocabulary}, rules_of(slot, beam));
      }
      slot.running = slot.search->take(best_candidates(*slot.search, {score_data + first, beams * vocabulary},
                                                       {raw_data + first, beams * vocabulary}));
    });
  }

  /// The same where the logits are on a GPU: it applies the rules and finds each row's best tokens.
  void search_on_device(const std::vector<int64_t>& active, const std::vector<int64_t>& rows,
                        const at::Tensor& logits) {
    const size_t beams = static_cast<size_t>(settings_.beams);
    std::vector<TokenRules> rules(rows.size());
    for_slots(active, [&](size_t i, Slot& slot) {
      for (size_t beam = 0; beam < beams; ++beam) rules[i * beams + beam] = rules_of(slot, beam);
    });
    std::vector<ops::TokenEdits> edits;
    for (TokenRules& row : rules) edits.push_back(row.forced.empty() ? std::move(row.edits) : ops::TokenEdits());
    const Search& any = *slots_[static_cast<size_t>(active.front())].search;
    ops::TopTokensRequest request;
    request.vocabulary = model_.facts().vocabulary;
    request.count = any.candidates_wanted();
    request.log_probabilities = any.uses_log_probabilities();
    request.penalty = settings_.repetition_penalty;
    // Penalized bf16 scores would be rounded once more.
    const at::Tensor wide = settings_.repetition_penalty != 1.0 ? logits.to(at::kFloat) : logits;
    const ops::TopTokens top = ops::top_tokens(wide, {rows.begin(), rows.end()}, edits, request);
    for_slots(active, [&](size_t i, Slot& slot) {
      CandidateChoice choice(*slot.search);
      for (size_t beam = 0; beam < beams; ++beam)
        offer_row(choice, beam, top, i * beams + beam, rules[i * beams + beam]);
      std::vector<Candidate> best = choice.best_first();
      if (!slot.search->uses_log_probabilities()) {
        best.front().log_probability =
            rules[i].forced.empty() ? top.log_probability[i] : log_probability(logits, rows[i], best.front().id);
      }
      slot.running = slot.search->take(best);
    });
  }

  /// The model's log-probability of token `id` behind row `row`.
  double log_probability(const at::Tensor& logits, int64_t row, int64_t id) const {
    const at::Tensor logits_V = logits.select(0, row).narrow(0, 0, model_.facts().vocabulary).to(at::kFloat);
    return at::log_softmax(logits_V, 0)[id].item<double>();
  }

  /// Offers the best tokens of one row, or what is forced on it.
  static void offer_row(CandidateChoice& choice, size_t beam, const ops::TopTokens& top, size_t row,
                        const TokenRules& rules) {
    const auto count = static_cast<size_t>(top.count);
    const auto hypothesis = static_cast<int64_t>(beam);
    if (rules.forced.empty()) {
      for (size_t k = row * count; k < (row + 1) * count; ++k) {
        if (top.ids[k] >= 0) choice.offer(hypothesis, top.scores[k], top.ids[k]);
      }
      return;
    }
    const auto is_forced = [&](int64_t id) { return std::binary_search(rules.forced.begin(), rules.forced.end(), id); };
    for (const int64_t id : rules.forced) choice.offer(hypothesis, 0.0f, id);
    for (int64_t id = 0; id < top.count; ++id) {
      if (!is_forced(id)) choice.offer(hypothesis, -std::numeric_limits<float>::infinity(), id);
    }
  }

  void deliver() {
    for (Slot& slot : slots_) {
      if (slot.running || slot.example < 0) continue;
      sink_(slot.example, slot.search->results());
      slot = {};
      ++delivered_;
    }
  }

  const model::Seq2SeqModel& model_;
  const GenerationSettings settings_;
  const LogitsRules rules_;
  const SourceSet& sources_;
  const HypothesisSink& sink_;
  std::unique_ptr<model::DecodingSession> session_;
  std::vector<Slot> slots_;
  std::vector<int64_t> order_;  // longest first
  GenerationCounts counts_;
  size_t next_ = 0;
  size_t delivered_ = 0;
};

}  // namespace

GenerationCounts generate(const model::Seq2SeqModel& model, const GenerationSettings& settings,
                          const SourceSet& sources, const HypothesisSink& sink) {
  TXTSUM_CHECK(settings.beams >= 1 && settings.max_length >= 2 && settings.slots >= 1);
  try {
    return Generation(model, settings, sources, sink).run();
  } catch (const c10::Error& error) {
    if (!ops::is_out_of_memory(error)) throw;
    throw core::EnvironmentError(out_of_memory_text(model, settings, sources, ops::asked_memory(error)));
  }
}

}  // namespace txtsum::generate
