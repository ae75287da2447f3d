#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "txtsum/data/ragged_batch.h"
#include "txtsum/ops/ragged.h"

namespace txtsum::train {

/// The examples of one forward pass.
struct MicroBatch {
  ops::RaggedTokens source;
  ops::RaggedTokens labels;    ///< Ids to predict; the same sequences as `source`.
  at::Tensor encoded_ND = {};  ///< The encoder's outputs where they are known (EncoderCache); undefined: it runs.
  /// What the ranks' micro-batches in this one's place hold, so that all can round up alike; unset: this one alone.
  std::optional<data::BatchExtent> of_ranks = std::nullopt;
};

/// The examples of one update, cut into micro-batches.
struct GlobalBatch {
  std::vector<MicroBatch> micro_batches;
  std::vector<int64_t> examples;  ///< Global numbers of its examples, for messages.
  int64_t source_tokens = 0;
  int64_t target_tokens = 0;  ///< What the loss is divided by.
};

/// Where the trainer gets its batches: epochs of global batches, a pure function of the position. App's adapter reads
/// the data layer with prefetch; tests hold a few examples in memory.
class BatchSource {
 public:
  virtual ~BatchSource() = default;
  /// Examples of the split.
  virtual int64_t examples() const = 0;
  /// Global batches of epoch `epoch` (from 0); at least 1.
  virtual int64_t updates_in_epoch(int64_t epoch) = 0;
  /// Global batch `index` of epoch `epoch`. Asked in order; after a resume the first question may be anywhere.
  virtual GlobalBatch batch(int64_t epoch, int64_t index) = 0;
  /// True when every global batch of the training is one micro-batch: a bf16 run then keeps its gradients in bf16.
  virtual bool one_micro_batch() = 0;
  /// What messages call an example.
  virtual std::string describe_example(int64_t number) const { return std::to_string(number); }
};

/// A split read from its start to its end, for validation's loss.
class MicroBatchSource {
 public:
  virtual ~MicroBatchSource() = default;
  virtual int64_t size() = 0;
  virtual MicroBatch micro_batch(int64_t index) = 0;
};

}  // namespace txtsum::train
