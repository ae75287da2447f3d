#pragma once

#include <memory>
#include <vector>

#include "txtsum/config/train_config.h"
#include "txtsum/model/seq2seq_model.h"
#include "txtsum/ops/adamw_update.h"
#include "txtsum/ops/block_scope.h"
#include "txtsum/parallel/communicator.h"
#include "txtsum/train/batch_source.h"
#include "txtsum/train/optimizer.h"

namespace txtsum::train {

/// What one update measured: means over the target tokens of the global batch.
struct UpdateResult {
  double loss = 0.0;
  double nll = 0.0;
  double gradient_norm = 0.0;  ///< Of the mean loss, before clipping.
};

/// Carries out one update: micro-batches forward and backward, reduction, norm, clipping, optimizer.
class UpdateStep {
 public:
  /// Allocates the gradients: bf16 where the working weights are bf16 and every update is one micro-batch, else fp32.
  UpdateStep(const config::TrainConfig& config, uint64_t seed, model::Seq2SeqModel& model, BatchSource& batches,
             parallel::Communicator& communicator, Optimizer& optimizer);

  /// Runs update number `update` (from 1). Throws DataError, before the optimizer changes anything, when loss or
  /// gradient norm is not finite.
  UpdateResult run(const GlobalBatch& batch, int64_t update, double learning_rate);

 private:
  void add_micro_batch(const MicroBatch& batch, int64_t update, UpdateResult& sums);
  [[noreturn]] void refuse(const char* what, double value, int64_t update, const std::vector<int64_t>& examples) const;

  config::TrainConfig config_;
  uint64_t seed_;
  model::Seq2SeqModel& model_;
  BatchSource& batches_;
  parallel::Communicator& communicator_;
  Optimizer& optimizer_;
  std::vector<ops::UpdateSpan> spans_;
  std::unique_ptr<ops::BlockScope> scope_;
};

}  // namespace txtsum::train
