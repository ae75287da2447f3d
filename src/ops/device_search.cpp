#include "txtsum/ops/device_search.h"

#include "txtsum/core/check.h"

#ifdef TXTSUM_WITH_CUDA
#include <ATen/ATen.h>
#include <ATen/cuda/CUDAEvent.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <deque>

#include "device_args.h"
#include "search_kernels.h"
#include "txtsum/core/error.h"
#include "txtsum/ops/byte_parts.h"
#endif

namespace txtsum::ops {

#ifdef TXTSUM_WITH_CUDA

namespace {

/// What the host reads of finished searches: one copy.
struct Finished {
  at::Tensor bytes, ids_RT, lengths_R, places_R, scores_R, counts, written, status, log_probabilities;

  Finished(const SearchRules& rules, int64_t slots, const at::TensorOptions& options) {
    deal(rules, slots);
    bytes = at::zeros({size_}, options.dtype(at::kByte));
    deal(rules, slots);
  }
  Finished(const SearchRules& rules, int64_t slots, at::Tensor copy) : bytes(std::move(copy)) { deal(rules, slots); }

 private:
  void deal(const SearchRules& rules, int64_t slots) {
    ByteParts parts(bytes);
    const int64_t rows = slots * rules.beams;
    ids_RT = parts.take(rows * rules.max_length, at::kInt);
    lengths_R = parts.take(rows, at::kInt);
    places_R = parts.take(rows, at::kInt);
    scores_R = parts.take(rows, at::kFloat);
    counts = parts.take(slots, at::kInt);
    written = parts.take(slots, at::kInt);
    status = parts.take(slots, at::kInt);
    log_probabilities = parts.take(slots, at::kDouble);
    size_ = parts.size();
  }
  int64_t size_ = 0;
};

std::vector<int32_t> narrowed(const std::vector<int64_t>& values) { return {values.begin(), values.end()}; }

/// The lists of the rules in one tensor.
struct Lists {
  at::Tensor numbers;

  void read(const SearchRules& rules, cuda::SearchTables& tables, const at::Device& device) {
    std::vector<int32_t> all, ends, words;
    std::vector<std::pair<cuda::IdList*, size_t>> places;
    const auto add = [&](cuda::IdList& list, const std::vector<int32_t>& ids) {
      places.emplace_back(&list, all.size());
      list.count = static_cast<int32_t>(ids.size());
      all.insert(all.end(), ids.begin(), ids.end());
    };
    for (const std::vector<int64_t>& word : rules.bad_words) {
      words.insert(words.end(), word.begin(), word.end());
      ends.push_back(static_cast<int32_t>(words.size()));
    }
    cuda::IdList bad_ends;
    add(tables.eos, narrowed(rules.eos_ids));
    add(tables.forced_first, narrowed(rules.forced_first));
    add(tables.forced_last, narrowed(rules.forced_last));
    add(tables.suppressed, narrowed(rules.suppressed));
    add(tables.bad_words, words);
    add(bad_ends, ends);
    numbers = at::tensor(all, at::kInt).to(device);
    for (auto& [list, begin] : places) list->ids = numbers.const_data_ptr<int32_t>() + begin;
    tables.bad_ends = bad_ends.ids;
    tables.bad_word_count = bad_ends.count;
  }
};

cuda::SearchTables tables_of(const SearchRules& rules) {
  cuda::SearchTables tables;
  const int64_t ends = std::max<int64_t>(2, 1 + static_cast<int64_t>(rules.eos_ids.size()));
  tables.greedy = rules.beams == 1;
  tables.beams = static_cast<int32_t>(rules.beams);
  tables.wanted = static_cast<int32_t>(tables.greedy ? 1 : ends * rules.beams);
  tables.vocabulary = static_cast<int32_t>(rules.vocabulary);
  tables.max_length = static_cast<int32_t>(rules.max_length);
  tables.min_length = static_cast<int32_t>(rules.min_length);
  tables.no_repeat_ngram = static_cast<int32_t>(rules.no_repeat_ngram);
  tables.source_no_repeat_ngram = static_cast<int32_t>(rules.source_no_repeat_ngram);
  tables.repetition_penalty = static_cast<float>(rules.repetition_penalty);
  tables.renormalize = rules.renormalize && !tables.greedy;
  tables.stop_when_full = rules.stop_when_full;
  tables.hope_for_longest = rules.hope_for_longest;
  return tables;
}

/// What was asked for and has not been looked at.
struct Question {
  at::Tensor status;  // pinned
  at::cuda::CUDAEvent answered;
};

}  // namespace

struct DeviceSearch::Impl {
  Impl(const SearchRules& given, int64_t slot_count, int64_t max_source_tokens, const at::Device& device)
      : rules(given),
        slots(slot_count),
        numbers(at::TensorOptions().device(device)),
        finished(given, slot_count, numbers),
        tables(tables_of(given)) {
    lists.read(rules, tables, device);
    std::vector<float> factors;
    for (int64_t length = 0; length <= rules.max_length; ++length) {
      factors.push_back(static_cast<float>(std::pow(static_cast<double>(length), rules.length_penalty)));
    }
    length_factors = at::tensor(factors, at::kFloat).to(device);
    tables.length_factors = length_factors.const_data_ptr<float>();
    make_rows();
    make_state(max_source_tokens);
  }

  void make_rows() {
    const int64_t count = slots * rules.beams;
    rows.ids_R = at::zeros({count}, numbers.dtype(at::kLong));
    rows.positions_R = at::zeros_like(rows.ids_R);
    rows.past.lengths_R = at::zeros({count}, numbers.dtype(at::kInt));
    rows.past.origins_RT = at::zeros({count, rules.max_length}, numbers.dtype(at::kInt));
    rows.source_lengths = at::zeros({slots}, numbers.dtype(at::kInt));
  }

  template <typename T>
  T* own(int64_t count, at::ScalarType type) {
    held.push_back(at::zeros({count}, numbers.dtype(type)));
    return held.back().mutable_data_ptr<T>();
  }

  void make_state(int64_t max_source_tokens) {
    const int64_t count = slots * rules.beams, places = count * rules.max_length;
    state.slots = slots;
    state.source_capacity = max_source_tokens;
    state.ids = rows.ids_R.mutable_data_ptr<int64_t>();
    state.positions = rows.positions_R.mutable_data_ptr<int64_t>();
    state.lengths = rows.past.lengths_R.mutable_data_ptr<int32_t>();
    state.origins = rows.past.origins_RT.mutable_data_ptr<int32_t>();
    state.source_lengths = rows.source_lengths.mutable_data_ptr<int32_t>();
    state.status = finished.status.mutable_data_ptr<int32_t>();
    state.written = finished.written.mutable_data_ptr<int32_t>();
    state.finished_ids = finished.ids_RT.mutable_data_ptr<int32_t>();
    state.finished_lengths = finished.lengths_R.mutable_data_ptr<int32_t>();
    state.finished_places = finished.places_R.mutable_data_ptr<int32_t>();
    state.finished_scores = finished.scores_R.mutable_data_ptr<float>();
    state.finished_counts = finished.counts.mutable_data_ptr<int32_t>();
    state.log_probabilities = finished.log_probabilities.mutable_data_ptr<double>();
    state.sources = own<int32_t>(slots * max_source_tokens, at::kInt);
    state.running_ids = own<int32_t>(places, at::kInt);
    state.moved_ids = own<int32_t>(places, at::kInt);
    state.moved_origins = own<int32_t>(places, at::kInt);
    state.saved = own<float>(places, at::kFloat);
    state.scores = own<float>(count, at::kFloat);
    state.candidate_scores = own<float>(count * tables.wanted, at::kFloat);
    state.candidate_ids = own<int32_t>(count * tables.wanted, at::kInt);
    state.candidate_log_probabilities = own<float>(count, at::kFloat);
  }

  const SearchRules rules;
  const int64_t slots;
  const at::TensorOptions numbers;
  DecodingRows rows;
  Finished finished;
  Lists lists;
  at::Tensor length_factors;
  std::vector<at::Tensor> held;
  cuda::SearchTables tables;
  cuda::SearchState state;
  std::deque<Question> questions;
};

DeviceSearch::DeviceSearch(const SearchRules& rules, int64_t slots, int64_t max_source_tokens, const at::Device& device)
    : impl_(std::make_unique<Impl>(rules, slots, max_source_tokens, device)) {}

const DecodingRows& DeviceSearch::rows() const { return impl_->rows; }

void DeviceSearch::start(const std::vector<int64_t>& slots, const std::vector<std::span<const int32_t>>& sources) {
  TXTSUM_CHECK(slots.size() == sources.size() && impl_->questions.empty());
  const auto count = static_cast<int64_t>(slots.size());
  int64_t tokens = 0;
  for (const std::span<const int32_t> source : sources) tokens += static_cast<int64_t>(source.size());
  const at::Tensor here = at::empty({2 * count + tokens}, at::TensorOptions().dtype(at::kInt).pinned_memory(true));
  auto* to = here.mutable_data_ptr<int32_t>();
  int32_t *ends = to + count, *ids = to + 2 * count, *next = ids;
  for (size_t i = 0; i < slots.size(); ++i) {
    TXTSUM_CHECK(static_cast<int64_t>(sources[i].size()) <= impl_->state.source_capacity, "document ", i);
    next = std::copy(sources[i].begin(), sources[i].end(), next);
    to[i] = static_cast<int32_t>(slots[i]);
    ends[i] = static_cast<int32_t>(next - ids);
  }
  const at::Tensor there = here.to(impl_->rows.ids_R.device(), /*non_blocking=*/true);
  cuda::SearchStart start;
  start.count = static_cast<int32_t>(count);
  start.start_id = static_cast<int32_t>(impl_->rules.start_id);
  start.slots = there.const_data_ptr<int32_t>();
  start.ends = start.slots + count;
  start.sources = start.slots + 2 * count;
  cuda::start_searches(impl_->tables, impl_->state, start, cuda::stream());
}

void DeviceSearch::step(const at::Tensor& logits_RV) {
  // Penalized scores in a narrow type would be rounded once more.
  const at::Tensor logits = impl_->rules.repetition_penalty != 1.0 ? logits_RV.to(at::kFloat) : logits_RV;
  TXTSUM_CHECK(logits.size(0) == impl_->rows.ids_R.size(0) && impl_->rules.vocabulary <= logits.size(1));
  cuda::choose_candidates(impl_->tables, impl_->state,
                          {cuda::type_of(logits), logits.mutable_data_ptr(), logits.size(1)}, cuda::stream());
  cuda::advance_searches(impl_->tables, impl_->state, cuda::stream());
}

void DeviceSearch::ask() {
  Question question;
  question.status = at::empty(impl_->finished.status.sizes(), at::TensorOptions().dtype(at::kInt).pinned_memory(true));
  question.status.copy_(impl_->finished.status, /*non_blocking=*/true);
  question.answered.record();
  impl_->questions.push_back(std::move(question));
}

int64_t DeviceSearch::asked() const { return static_cast<int64_t>(impl_->questions.size()); }

std::vector<bool> DeviceSearch::running() {
  TXTSUM_CHECK(!impl_->questions.empty(), "ask() comes first");
  const Question question = std::move(impl_->questions.front());
  impl_->questions.pop_front();
  question.answered.synchronize();
  std::vector<bool> result;
  const auto* status = question.status.const_data_ptr<int32_t>();
  for (int64_t slot = 0; slot < impl_->slots; ++slot) {
    if (status[slot] == cuda::kNoNumbers) {
      throw core::DataError("generation: the model's scores are not numbers, or the rules forbid every token");
    }
    result.push_back(status[slot] == cuda::kRunning);
  }
  return result;
}

std::vector<SearchResult> DeviceSearch::results(const std::vector<int64_t>& slots) const {
  const SearchRules& rules = impl_->rules;
  const Finished here(rules, impl_->slots, impl_->finished.bytes.cpu());
  const auto *ids = here.ids_RT.const_data_ptr<int32_t>(), *lengths = here.lengths_R.const_data_ptr<int32_t>(),
             *places = here.places_R.const_data_ptr<int32_t>(), *counts = here.counts.const_data_ptr<int32_t>(),
             *written = here.written.const_data_ptr<int32_t>();
  const auto* scores = here.scores_R.const_data_ptr<float>();
  const auto* log_probabilities = here.log_probabilities.const_data_ptr<double>();
  std::vector<SearchResult> results;
  for (const int64_t slot : slots) {
    SearchResult& result = results.emplace_back();
    result.steps = written[slot] - 1;
    for (int64_t rank = 0; rank < counts[slot]; ++rank) {
      const int64_t row = slot * rules.beams + places[slot * rules.beams + rank];
      const int32_t* first = ids + row * rules.max_length;
      result.ids.emplace_back(first, first + lengths[row]);
      result.scores.push_back(impl_->tables.greedy ? log_probabilities[slot] : scores[slot * rules.beams + rank]);
    }
  }
  return results;
}

#else

struct DeviceSearch::Impl {};

DeviceSearch::DeviceSearch(const SearchRules&, int64_t, int64_t, const at::Device&) {
  TXTSUM_CHECK(false, "a binary without code for GPUs");
}

const DecodingRows& DeviceSearch::rows() const {
  static const DecodingRows none;
  return none;
}

void DeviceSearch::start(const std::vector<int64_t>&, const std::vector<std::span<const int32_t>>&) {}

void DeviceSearch::step(const at::Tensor&) {}

void DeviceSearch::ask() {}

int64_t DeviceSearch::asked() const { return 0; }

std::vector<bool> DeviceSearch::running() { return {}; }

std::vector<SearchResult> DeviceSearch::results(const std::vector<int64_t>&) const { return {}; }

#endif

DeviceSearch::~DeviceSearch() = default;

}  // namespace txtsum::ops
