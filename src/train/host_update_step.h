#pragma once

#include <memory>

#include "txtsum/ops/stop_scope.h"
#include "update_step.h"

namespace txtsum::train {

/// Updates one after the other, any optimizer, any device: each number is read as soon as it is there. On one rank a
/// loss that is not finite is refused before its backward pass, and a stop signal is heard between blocks; on several
/// all ranks refuse the update together, and signals are heard between updates.
class HostUpdateStep final : public UpdateStep {
 public:
  explicit HostUpdateStep(const UpdateParts& parts);

  /// Throws StoppedBySignal: the update has then changed nothing.
  void start(const GlobalBatch& batch, int64_t update, double learning_rate) override;
  UpdateResult finish() override;
  bool runs_ahead() const override { return false; }

 private:
  void add_micro_batch(const GlobalBatch& all, size_t index, int64_t update, UpdateResult& sums);

  UpdateParts parts_;
  std::unique_ptr<ops::BlockScope> scope_;
  ops::StopScope stop_scope_;
  UpdateResult result_;
};

}  // namespace txtsum::train
