#include "txtsum/generate/generator.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <exception>
#include <memory>
#include <numeric>

#include "logits_rules.h"
#include "search.h"
#include "txtsum/core/check.h"
#include "txtsum/core/error.h"
#include "txtsum/core/stop_signal.h"

namespace txtsum::generate {
namespace {

/// One place of the decoding session.
struct Slot {
  int64_t example = -1;  // -1: free
  std::unique_ptr<Search> search;
  bool running = false;
};

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
    const ops::RaggedTokens source = ops::make_ragged_tokens(std::move(ids), std::move(offsets), numbers);
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
    const at::Tensor raw = (settings_.beams > 1 ? at::log_softmax(logits, 1) : logits).contiguous();
    at::Tensor scores = settings_.beams > 1 ? raw : raw.clone();
    search(active, scores, raw);
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

  /// Applies the rules and extends the hypotheses of all active slots; documents are independent and run on all
  /// threads.
  void search(const std::vector<int64_t>& active, at::Tensor& scores, const at::Tensor& raw) {
    const size_t vocabulary = static_cast<size_t>(scores.size(1)), beams = static_cast<size_t>(settings_.beams);
    float* score_data = scores.mutable_data_ptr<float>();
    const float* raw_data = raw.const_data_ptr<float>();
    at::parallel_for(0, static_cast<int64_t>(active.size()), 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        Slot& slot = slots_[static_cast<size_t>(active[static_cast<size_t>(i)])];
        const size_t first = static_cast<size_t>(i) * beams * vocabulary;
        for (size_t beam = 0; beam < beams; ++beam) {
          rules_.apply({score_data + first + beam * vocabulary, vocabulary},
                       slot.search->ids(static_cast<int64_t>(beam)), sources_.ids(slot.example));
        }
        slot.running =
            slot.search->step({score_data + first, beams * vocabulary}, {raw_data + first, beams * vocabulary});
      }
    });
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
  return Generation(model, settings, sources, sink).run();
}

}  // namespace txtsum::generate
