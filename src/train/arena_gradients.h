#pragma once

#include <cstdint>
#include <vector>

#include "block_gradients.h"
#include "txtsum/model/arena.h"
#include "txtsum/parallel/communicator.h"
#include "txtsum/parallel/shard_plan.h"

namespace txtsum::train {

/// Gradients that have their place in the arena: micro-batches are added up there, and in the last one each block's are
/// summed over the ranks behind its backward pass, while the next block's runs.
class ArenaGradients final : public BlockGradients {
 public:
  struct Options {
    bool gathers = false;  ///< Every rank gets all sums, in the arena.
  };
  /// `shard` takes this rank's part of the sums: 1-D, plan.shard_numel() elements, of the gradients' type. Undefined:
  /// there is one rank, and its gradients are the sums.
  ArenaGradients(model::Arena& arena, parallel::Communicator& communicator, const parallel::ShardPlan& plan,
                 at::Tensor shard, Options options);

  void begin_update(int64_t micro_batches) override;
  void begin_micro_batch(const MicroBatchPlace& place) override;
  void enter(int64_t) override {}
  void leave(int64_t block) override;
  void end_micro_batch() override;
  int64_t bytes() const override;

 private:
  void reduce(int64_t block);
  /// Waits for the sums that are under way.
  void settle();

  model::Arena& arena_;
  parallel::Communicator& communicator_;
  const parallel::ShardPlan& plan_;
  at::Tensor shard_;
  Options options_;
  bool last_ = false;
  std::vector<bool> reduced_;     // by block
  std::vector<int64_t> summing_;  // blocks whose sums are under way
  std::vector<parallel::TicketRef> tickets_;
};

}  // namespace txtsum::train
