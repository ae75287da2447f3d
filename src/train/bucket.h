#pragma once

#include <compare>
#include <cstdint>

#include "txtsum/model/seq2seq_model.h"
#include "txtsum/train/batch_source.h"

namespace txtsum::train {

/// The shape that micro-batches are rounded up to, so that few shapes occur and each can be captured once as a graph.
struct Bucket {
  int64_t source_tokens = 0, target_tokens = 0;
  int64_t slots = 0;  ///< Sequences, those that only fill up included.
  int64_t longest_source = 0, longest_target = 0;

  auto operator<=>(const Bucket&) const = default;
};

/// The bucket of what micro-batches hold, for a model. Token counts are rounded up by at most a sixteenth of the
/// largest (and to a multiple of 64 or more), the longest sequences to 64, 256, 1,024, ..., but not above the model's
/// positions.
Bucket rounded_up(const data::BatchExtent& extent, const model::ModelFacts& facts);
/// Of several ranks it is the same for all, where it can be: a shape that is new to one rank, which all wait for, is
/// new to all of them then, and new ones become rare as soon as on one.
Bucket bucket_of(const MicroBatch& batch, const model::ModelFacts& facts);

/// `batch` filled up to `bucket`: behind its sequences stand sequences of token `pad_id`, none empty and none longer
/// than the bucket's longest, whose labels are -1, up to the bucket's slots. Padding changes neither loss nor
/// gradients. Known outputs of the encoder stay those of the batch itself: rows of filler are whatever is finite. On
/// the CPU.
MicroBatch pad_to(const MicroBatch& batch, const Bucket& bucket, int64_t pad_id);

}  // namespace txtsum::train
