#include "txtsum/data/sampler.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

#include "txtsum/core/check.h"
#include "txtsum/core/random.h"

namespace txtsum::data {
namespace {

/// Streams of random numbers of an epoch: one for the examples, one for the batches.
uint64_t example_stream(int64_t epoch) { return static_cast<uint64_t>(epoch) * 2; }
uint64_t batch_stream(int64_t epoch) { return static_cast<uint64_t>(epoch) * 2 + 1; }

/// Puts the places 0..n-1 of a batch into `bins`, longest first, each into the lightest bin (the first of equals).
/// `largest` is the heaviest bin that holds more than one example.
std::vector<std::vector<size_t>> fill_bins(const std::vector<int64_t>& weights, size_t bins, int64_t& largest) {
  std::vector<size_t> order(weights.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return weights[a] > weights[b]; });
  std::vector<std::vector<size_t>> places(bins);
  std::vector<int64_t> loads(bins, 0);
  for (const size_t place : order) {
    const auto lightest = static_cast<size_t>(std::min_element(loads.begin(), loads.end()) - loads.begin());
    places[lightest].push_back(place);
    loads[lightest] += weights[place];
  }
  largest = 0;
  for (size_t bin = 0; bin < bins; ++bin) {
    if (places[bin].size() > 1) largest = std::max(largest, loads[bin]);
    std::sort(places[bin].begin(), places[bin].end());
  }
  return places;
}

}  // namespace

Sampler::Sampler(std::vector<int64_t> token_counts, std::vector<int64_t> target_counts, SamplerOptions options)
    : token_counts_(std::move(token_counts)), target_counts_(std::move(target_counts)), options_(options) {
  TXTSUM_CHECK(token_counts_.size() == target_counts_.size());
  TXTSUM_CHECK((options_.batch_examples > 0) != (options_.batch_tokens > 0), "batch_examples ", options_.batch_examples,
               " batch_tokens ", options_.batch_tokens);
  TXTSUM_CHECK(options_.bucket_batches > 0, "bucket_batches ", options_.bucket_batches);
}

std::vector<int64_t> Sampler::example_order(int64_t epoch) const {
  const auto count = static_cast<int64_t>(token_counts_.size());
  if (options_.order != SampleOrder::kSequential) {
    return core::random_permutation(count, options_.seed, example_stream(epoch));
  }
  std::vector<int64_t> order(token_counts_.size());
  std::iota(order.begin(), order.end(), int64_t{0});
  return order;
}

std::vector<std::vector<int64_t>> Sampler::cut(std::span<const int64_t> examples) const {
  std::vector<std::vector<int64_t>> batches;
  int64_t tokens = 0;
  for (const int64_t example : examples) {
    const int64_t more = token_counts_[static_cast<size_t>(example)];
    const bool full = !batches.empty() && (options_.batch_examples > 0
                                               ? static_cast<int64_t>(batches.back().size()) == options_.batch_examples
                                               : tokens + more > options_.batch_tokens);
    if (batches.empty() || full) {
      batches.emplace_back();
      tokens = 0;
    }
    batches.back().push_back(example);
    tokens += more;
  }
  return batches;
}

std::vector<std::vector<int64_t>> Sampler::bucketed_batches(std::vector<int64_t> order, int64_t epoch) const {
  std::vector<std::vector<int64_t>> batches;
  for (auto begin = order.begin(); begin != order.end();) {
    auto end = begin;
    for (int64_t examples = 0, tokens = 0; end != order.end(); ++end) {
      const bool full = options_.batch_examples > 0 ? examples == options_.bucket_batches * options_.batch_examples
                                                    : tokens >= options_.bucket_batches * options_.batch_tokens;
      if (full) break;
      ++examples;
      tokens += token_counts_[static_cast<size_t>(*end)];
    }
    std::stable_sort(begin, end, [&](int64_t a, int64_t b) {
      return token_counts_[static_cast<size_t>(a)] < token_counts_[static_cast<size_t>(b)];
    });
    for (auto& batch : cut({begin, end})) batches.push_back(std::move(batch));
    begin = end;
  }
  std::vector<std::vector<int64_t>> shuffled;
  const auto count = static_cast<int64_t>(batches.size());
  for (const int64_t number : core::random_permutation(count, options_.seed, batch_stream(epoch))) {
    shuffled.push_back(std::move(batches[static_cast<size_t>(number)]));
  }
  return shuffled;
}

std::vector<GlobalBatch> Sampler::epoch(int64_t epoch) const {
  TXTSUM_CHECK(epoch >= 0, "epoch ", epoch);
  std::vector<int64_t> order = example_order(epoch);
  std::vector<std::vector<int64_t>> groups =
      options_.order == SampleOrder::kLengthBucketed ? bucketed_batches(std::move(order), epoch) : cut(order);
  std::vector<GlobalBatch> batches;
  batches.reserve(groups.size());
  for (std::vector<int64_t>& examples : groups) {
    int64_t target_tokens = 0;
    for (const int64_t example : examples) target_tokens += target_counts_[static_cast<size_t>(example)];
    batches.push_back({std::move(examples), target_tokens});
  }
  return batches;
}

int64_t Sampler::count_batches(int64_t epochs) const {
  if (options_.batch_examples > 0 && options_.order != SampleOrder::kLengthBucketed) {
    const auto examples = static_cast<int64_t>(token_counts_.size());
    return epochs * ((examples + options_.batch_examples - 1) / options_.batch_examples);
  }
  int64_t count = 0;
  for (int64_t number = 0; number < epochs; ++number) count += static_cast<int64_t>(epoch(number).size());
  return count;
}

std::vector<std::vector<std::vector<int64_t>>> cut_into_micro_batches(const GlobalBatch& batch,
                                                                      std::span<const int64_t> token_counts,
                                                                      int64_t micro_batch_tokens, int64_t ranks) {
  TXTSUM_CHECK(ranks > 0 && micro_batch_tokens >= 0, "ranks ", ranks, " micro_batch_tokens ", micro_batch_tokens);
  std::vector<int64_t> weights;
  for (const int64_t example : batch.examples) weights.push_back(token_counts[static_cast<size_t>(example)]);
  const int64_t limit = micro_batch_tokens > 0 ? micro_batch_tokens : std::numeric_limits<int64_t>::max();
  const int64_t total = std::accumulate(weights.begin(), weights.end(), int64_t{0});
  // Fewer than total / limit cannot hold the tokens. With as many micro-batches as examples each has one, which ends
  // the search, so that more are never of use.
  const int64_t most = std::max<int64_t>(1, (static_cast<int64_t>(weights.size()) + ranks - 1) / ranks);
  int64_t per_rank = std::clamp<int64_t>(total / ranks / limit, 1, most);
  int64_t largest = 0;
  auto bins = fill_bins(weights, static_cast<size_t>(per_rank * ranks), largest);
  while (largest > limit) bins = fill_bins(weights, static_cast<size_t>(++per_rank * ranks), largest);

  std::vector<std::vector<std::vector<int64_t>>> cut(static_cast<size_t>(ranks));
  for (size_t bin = 0; bin < bins.size(); ++bin) {
    std::vector<int64_t> examples;
    for (const size_t place : bins[bin]) examples.push_back(batch.examples[place]);
    cut[bin % static_cast<size_t>(ranks)].push_back(std::move(examples));
  }
  return cut;
}

}  // namespace txtsum::data
