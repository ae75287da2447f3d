#include "txtsum/generate/generator.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cstdio>
#include <memory>

#include "candidates.h"
#include "device_generation.h"
#include "document_queue.h"
#include "logits_rules.h"
#include "search.h"
#include "txtsum/core/check.h"
#include "txtsum/core/error.h"
#include "txtsum/ops/device.h"
#include "txtsum/ops/stop_scope.h"

namespace txtsum::generate {
namespace {

/// One place of the decoding session.
struct Slot {
  int64_t example = -1;
  std::unique_ptr<Search> search;  // null: free
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

/// All documents through a fixed number of slots, on a CPU.
class Generation {
 public:
  Generation(const model::Seq2SeqModel& model, const GenerationSettings& settings, const SourceSet& sources,
             const HypothesisSink& sink, const std::function<void()>& between_steps)
      : model_(model),
        settings_(settings),
        rules_(settings_),
        sources_(sources),
        sink_(sink),
        queue_(sources, settings.slots, between_steps),
        session_(model.start_decoding({queue_.slots(), settings.beams, queue_.longest(), settings.max_length})),
        slots_(static_cast<size_t>(queue_.slots())) {}

  GenerationCounts run() {
    while (true) {
      queue_.step();
      fill_slots();
      const std::vector<int64_t> active = active_slots();
      if (active.empty()) return counts_;
      step(active);
      deliver();
    }
  }

 private:
  std::vector<int64_t> active_slots() const {
    std::vector<int64_t> active;
    for (size_t place = 0; place < slots_.size(); ++place) {
      if (slots_[place].search) active.push_back(static_cast<int64_t>(place));
    }
    return active;
  }

  /// Encodes waiting documents into free slots.
  void fill_slots() {
    std::vector<bool> taken;
    for (const Slot& slot : slots_) taken.push_back(slot.search != nullptr);
    const Admission admission = queue_.admit(taken);
    if (admission.empty()) return;
    const at::NoGradGuard no_grad;
    session_->admit(admission.slots, encode(admission.tokens), admission.tokens);
    for (size_t i = 0; i < admission.slots.size(); ++i) {
      slots_[static_cast<size_t>(admission.slots[i])] = {admission.examples[i], start_search(settings_), true};
    }
  }

  at::Tensor encode(const ops::RaggedTokens& source) const {
    ops::StopScope stop_scope("stopped in the encoder");
    model::ForwardContext context;
    context.scope = &stop_scope;
    try {
      return model_.encode(source, context);
    } catch (const core::StoppedBySignal&) {
      queue_.check_signal();  // says how much is left
      throw;
    }
  }

  void step(const std::vector<int64_t>& active) {
    const at::NoGradGuard no_grad;
    std::vector<int64_t> rows, last_ids;
    for (const int64_t place : active) {
      const Slot& slot = slots_[static_cast<size_t>(place)];
      for (int64_t beam = 0; beam < settings_.beams; ++beam) {
        rows.push_back(place * settings_.beams + beam);
        const std::span<const int64_t> ids = slot.search->ids(beam);
        last_ids.push_back(ids.back());
        counts_.decoder_rows += 1;
        counts_.self_positions += static_cast<double>(ids.size());
        counts_.cross_positions += static_cast<double>(sources_.ids(slot.example).size());
      }
    }
    search(active, session_->step(rows, last_ids));
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

  void deliver() {
    for (Slot& slot : slots_) {
      if (slot.running || !slot.search) continue;
      sink_(slot.example, slot.search->results());
      slot = {};
      queue_.delivered();
    }
  }

  const model::Seq2SeqModel& model_;
  const GenerationSettings settings_;
  const LogitsRules rules_;
  const SourceSet& sources_;
  const HypothesisSink& sink_;
  DocumentQueue queue_;
  std::unique_ptr<model::DecodingSession> session_;
  std::vector<Slot> slots_;
  GenerationCounts counts_;
};

}  // namespace

GenerationCounts generate(const model::Seq2SeqModel& model, const GenerationSettings& settings,
                          const SourceSet& sources, const HypothesisSink& sink,
                          const std::function<void()>& between_steps) {
  TXTSUM_CHECK(settings.beams >= 1 && settings.max_length >= 2 && settings.slots >= 1);
  if (sources.size == 0) return {};
  try {
    if (model.arena().device().is_cuda()) return generate_on_device(model, settings, sources, sink, between_steps);
    return Generation(model, settings, sources, sink, between_steps).run();
  } catch (const c10::Error& error) {
    if (!ops::is_out_of_memory(error)) throw;
    throw core::EnvironmentError(out_of_memory_text(model, settings, sources, ops::asked_memory(error)));
  }
}

}  // namespace txtsum::generate
