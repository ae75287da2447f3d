#pragma once

#include <cstdint>

#include "txtsum/model/seq2seq_model.h"
#include "txtsum/parallel/communicator.h"
#include "txtsum/train/batch_source.h"

namespace txtsum::train {

/// Means over all target tokens of a split (transformers' eval_loss is the mean over batches instead).
struct ValidationLoss {
  double loss = 0.0;  ///< With label smoothing.
  double nll = 0.0;   ///< Without.
  int64_t target_tokens = 0;
};

/// Measures `model` on `split` without dropout or gradients, each rank on its share of the micro-batches. Throws
/// core::StoppedBySignal between micro-batches, and DataError when the split has no target tokens.
ValidationLoss validation_loss(const model::Seq2SeqModel& model, MicroBatchSource& split, double label_smoothing,
                               parallel::Communicator& ranks);

}  // namespace txtsum::train
