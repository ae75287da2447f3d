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
/// end, and are then summed over the ranks, while the next block's backward pass runs. The first micro-batch's sums are
/// this rank's shard, further ones are added to it.
/// Block 0, which is used outside blocks, has memory of its own.
class GradientSlots final : public BlockGradients {
 public:
  /// `shard` takes the sums: 1-D, plan.shard_numel() elements, of the gradients' type.
  GradientSlots(model::Arena& arena, parallel::Communicator& communicator, const parallel::ShardPlan& plan,
                at::Tensor shard);

  void begin_update(int64_t) override {}
  void begin_micro_batch(const MicroBatchPlace& place) override;
  void enter(int64_t block) override;
  void leave(int64_t block) override;
  void end_micro_batch() override;
  /// Of the slots.
  int64_t bytes() const override;

 private:
  /// A sum on its way: to the shard, or to where it is then added to it from.
  struct Sum {
    parallel::TicketRef ticket;
    at::Tensor part;   ///< Undefined: the sum goes to its place.
    at::Tensor place;  ///< In the shard.
  };
  struct Slot {
    at::Tensor memory;
    int64_t block = 0;  ///< Of the sums.
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
  bool first_ = false;          // micro-batch of its update: its sums are not added to others
  std::vector<bool> has_sums_;  // by block, of the micro-batch
};

}  // namespace txtsum::train
