#include "bucket.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <bit>
#include <vector>

#include "txtsum/core/check.h"

namespace txtsum::train {
namespace {

// Every class makes more shapes, and each shape costs an eager run and a capture; every token that fills up costs a
// token's time in all updates. Steps are the coarser, against its tokens, the shorter a batch is.
constexpr int64_t kSmallestStep = 64, kShortBatchStep = 128;
constexpr int64_t kShortBatchSteps = 8, kSteps = 32;  ///< Between a power of two and the next.
/// Room over a multiple of the step, so that a batch of documents that are all cut at the limit still takes its filler.
constexpr int64_t kFillerRoom = 64;
constexpr int64_t kSmallestSlotStep = 8, kSlotSteps = 8;
/// Classes of the longest sequence, each four times the one before: kernels of attention leave at once where a block
/// has no tokens.
constexpr int64_t kShortestClass = 256, kClassFactor = 4;

int64_t round_up(int64_t value, int64_t unit) { return (value + unit - 1) / unit * unit; }

int64_t power_below(int64_t value) {
  return static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(std::max<int64_t>(value, 1))));
}

/// Step of the classes of the sources of a batch.
int64_t source_step(int64_t tokens_of_both) {
  const int64_t power = power_below(tokens_of_both);
  return std::max({kSmallestStep, std::min(kShortBatchStep, power / kShortBatchSteps), power / kSteps});
}

/// Of its targets, which vary less.
int64_t target_step(int64_t tokens_of_both) { return std::max(kSmallestStep, source_step(tokens_of_both) / 2); }

int64_t round_tokens(int64_t tokens, int64_t step) {
  return round_up(std::max<int64_t>(tokens - kFillerRoom, 0), step) + kFillerRoom;
}

int64_t length_class(int64_t longest, int64_t positions) {
  int64_t rounded = kShortestClass;
  while (rounded < longest) rounded *= kClassFactor;
  return std::max(longest, std::min(rounded, positions));
}

int64_t round_slots(int64_t slots) {
  return round_up(slots, std::max(kSmallestSlotStep, power_below(slots) / kSlotSteps));
}

/// `count` lengths from 1 to `longest` that add up to `tokens`.
std::vector<int64_t> filler_lengths(int64_t tokens, int64_t count, int64_t longest) {
  std::vector<int64_t> lengths;
  for (int64_t left = count - 1; left >= 0; --left) {
    lengths.push_back(std::min(longest, tokens - left));
    tokens -= lengths.back();
  }
  TXTSUM_CHECK(tokens == 0, tokens, " tokens too many for ", count, " sequences");
  return lengths;
}

int64_t fillers_needed(int64_t tokens, int64_t longest) { return (tokens + longest - 1) / longest; }

/// Whether a batch can be filled up to the bucket (filler_lengths, on both sides).
bool holds(const Bucket& bucket, const data::BatchExtent& batch) {
  const int64_t fillers = bucket.slots - batch.examples;
  const auto fits = [&](int64_t room, int64_t longest, int64_t longest_of_batch) {
    return fillers >= 0 && longest_of_batch <= longest && room >= fillers && room <= fillers * longest;
  };
  return fits(bucket.source_tokens - batch.source_tokens, bucket.longest_source, batch.longest_source) &&
         fits(bucket.target_tokens - batch.target_tokens, bucket.longest_target, batch.longest_target);
}

ops::RaggedTokens fill_up(const ops::RaggedTokens& tokens, int64_t longest, int64_t filler_id,
                          const std::vector<int64_t>& fillers) {
  const int64_t* ids = tokens.ids_N.const_data_ptr<int64_t>();
  std::vector<int64_t> all_ids(ids, ids + tokens.tokens()), offsets = tokens.offsets, examples;
  const int64_t* numbers = tokens.examples_N.const_data_ptr<int64_t>();
  for (int64_t b = 0; b < tokens.sequences(); ++b) {
    const int64_t begin = offsets[static_cast<size_t>(b)];
    examples.push_back(begin < offsets[static_cast<size_t>(b) + 1] ? numbers[begin] : 0);
  }
  for (const int64_t length : fillers) {
    offsets.push_back(offsets.back() + length);
    examples.push_back(0);
  }
  all_ids.resize(static_cast<size_t>(offsets.back()), filler_id);
  ops::RaggedTokens filled = ops::make_ragged_tokens(std::move(all_ids), std::move(offsets), examples);
  filled.longest = longest;
  return filled;
}

}  // namespace

Bucket rounded_up(const data::BatchExtent& extent, const model::ModelFacts& facts) {
  Bucket bucket;
  bucket.longest_source = length_class(extent.longest_source, facts.max_source_tokens);
  bucket.longest_target = length_class(extent.longest_target, facts.max_target_tokens);
  // Every slot that no sequence of a batch takes has a filler with a token or more on each side; more of them may need
  // more room, and more room more of them. The batch with the fewest sequences has the most fillers.
  int64_t most = 0;
  for (int64_t wanted = 1; wanted != most;) {
    most = wanted;
    bucket.source_tokens = round_tokens(extent.source_tokens + most, source_step(extent.tokens()));
    bucket.target_tokens = round_tokens(extent.target_tokens + most, target_step(extent.tokens()));
    const int64_t least =
        std::max({most - (extent.examples - extent.fewest_examples), int64_t{1},
                  fillers_needed(bucket.source_tokens - extent.source_tokens, bucket.longest_source),
                  fillers_needed(bucket.target_tokens - extent.target_tokens, bucket.longest_target)});
    bucket.slots = round_slots(extent.examples + least);
    wanted = bucket.slots - extent.fewest_examples;
  }
  return bucket;
}

Bucket bucket_of(const MicroBatch& batch, const model::ModelFacts& facts) {
  const int64_t sequences = batch.source.sequences();
  const data::BatchExtent own{batch.source.tokens(), batch.labels.tokens(), sequences, sequences,
                              batch.source.longest,  batch.labels.longest};
  if (batch.of_ranks) {
    const Bucket shared = rounded_up(*batch.of_ranks, facts);
    if (holds(shared, own)) return shared;
  }
  return rounded_up(own, facts);
}

MicroBatch pad_to(const MicroBatch& batch, const Bucket& bucket, int64_t pad_id) {
  const int64_t count = bucket.slots - batch.source.sequences();
  const auto side = [&](const ops::RaggedTokens& tokens, int64_t total, int64_t longest, int64_t filler_id) {
    return fill_up(tokens, longest, filler_id, filler_lengths(total - tokens.tokens(), count, longest));
  };
  return {side(batch.source, bucket.source_tokens, bucket.longest_source, pad_id),
          side(batch.labels, bucket.target_tokens, bucket.longest_target, /*filler_id=*/-1), batch.encoded_ND};
}

}  // namespace txtsum::train
