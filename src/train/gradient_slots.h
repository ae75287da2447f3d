#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "block_gradients.h"
#include "txtsum/model/arena.h"
#include "txtsum/parallel/communicator.h"
#include "txtsum/parallel/shard_plan.h"

namespace txtsum::train {

/// Gradients of one block at a time: a block's gradients have memory from the beginning of its backward pass to its
/// end, and are then summed over the ranks and added to this rank's shard, while the next block's backward pass runs.
/// Block 0, which is used outside blocks, has memory of its own.
class GradientSlots final : public BlockGradients {
 public:
  /// `shard` takes the sums: 1-D, plan.shard_numel() elements, of the gradients' type.
  GradientSlots(model::Arena& arena, parallel::Communicator& communicator, const parallel::ShardPlan& plan,
                at::Tensor shard);

  void begin_update() override { shard_.zero_(); }
  void begin_micro_batch(bool) override { resident_.memory.zero_(); }
  void enter(int64_t block) override;
  void leave(int64_t block) override;
  void end_micro_batch() override;
  /// Of the slots.
  int64_t bytes() const override;

 private:
  /// A sum on its way to where it is added.
  struct Sum {
    parallel::TicketRef ticket;
    at::Tensor part;
    at::Tensor place;  ///< In the shard
  };
  struct Slot {
    at::Tensor memory;
    std::vector<Sum> sums;
  };

  void reduce(int64_t block, Slot& slot);
  void settle(Slot& slot);

  model::Arena& arena_;
  parallel::Communicator& communicator_;
  const parallel::ShardPlan& plan_;
  at::Tensor shard_;
  Slot resident_;
  std::array<Slot, 2> slots_;
  size_t next_ = 0;
};

}  // namespace txtsum::train
