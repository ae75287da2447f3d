#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "txtsum/data/dataset.h"
#include "txtsum/data/ragged_batch.h"
#include "txtsum/data/sampler.h"

namespace txtsum::data {

/// A place in the training data: all that a resume needs to know. `batch` may equal the number of batches of the epoch.
struct BatchPosition {
  int64_t epoch = 0;
  int64_t batch = 0;  ///< Number of the global batch within the epoch, from 0.

  bool operator==(const BatchPosition&) const = default;
};

/// One rank's share of one update.
struct RankBatch {
  BatchPosition position;  ///< Of this batch.
  BatchPosition next;      ///< Where to go on after this batch's update; saved in checkpoints.
  bool ends_epoch = false;
  int64_t batches_in_epoch = 0;
  int64_t global_examples = 0;             ///< Over all ranks.
  int64_t global_target_tokens = 0;        ///< Over all ranks: the loss is divided by it.
  std::vector<RaggedBatch> micro_batches;  ///< This rank's; may be empty batches.
  std::vector<BatchExtent> extents;        ///< Of each, what it holds on any rank.
};

/// How a stream cuts batches and where it begins.
struct BatchStreamOptions {
  int64_t micro_batch_tokens = 0;  ///< As cut_into_micro_batches.
  int64_t ranks = 1;
  int64_t rank = 0;
  BatchPosition begin;
  std::optional<int64_t> epochs;  ///< The stream ends before this epoch; unset: never.
};

/// Makes one rank's batches one after the other, from any position on: the same batches as a stream from the start.
class BatchStream {
 public:
  /// `dataset` must outlive the stream. Throws DataError when `begin` is past the end of its epoch: the data or the
  /// batch settings are not those of the run that saved it.
  BatchStream(const Dataset& dataset, Sampler sampler, BatchStreamOptions options);

  /// The next batch; nothing at the end.
  std::optional<RankBatch> next();

 private:
  void load_epoch();

  const Dataset& dataset_;
  Sampler sampler_;
  BatchStreamOptions options_;
  std::vector<int64_t> token_counts_;
  BatchPosition position_;
  std::vector<GlobalBatch> epoch_batches_;
};

}  // namespace txtsum::data
