#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "block_values.h"
#include "txtsum/model/arena.h"
#include "txtsum/ops/device_copy.h"
#include "txtsum/parallel/communicator.h"
#include "txtsum/parallel/shard_plan.h"

namespace txtsum::train {

/// Weights of a few blocks at a time: each rank keeps its shards, and a block's weights are gathered when the block is
/// entered, those of the block behind it ahead of time. Block 0, which is used outside blocks, is always there. Shards
/// may lie in host memory (host_zeros): a rank's parts then come to their places in the slot on a stream of their own,
/// and are gathered from there.
class ValueSlots final : public BlockValues {
 public:
  /// A plan and this rank's shard, for the trainable and for the frozen range.
  struct Shards {
    const parallel::ShardPlan& plan;
    at::Tensor shard;
  };
  ValueSlots(model::Arena& arena, parallel::Communicator& communicator, const Shards& trainable, const Shards& frozen,
             bool on_host);

  /// Gathers block 0 anew.
  void shards_changed() override;
  void begin_micro_batch(bool) override { forget(); }
  void enter(int64_t block, Pass pass) override;
  void leave(int64_t block) override;
  void end_micro_batch() override { forget(); }
  /// In memory of its own.
  void gather_all() override;
  void release_all() override;
  /// Of the slots and the frozen shard, where the model is.
  int64_t bytes() const override;
  /// Of shards that lie elsewhere.
  int64_t offloaded_bytes() const override;

 private:
  struct Slot {
    at::Tensor memory;   ///< The block's trainable range, then its frozen one.
    int64_t block = -1;  ///< -1: nothing that counts.
    std::vector<parallel::TicketRef> tickets;
    std::optional<ops::CopyMark> uploaded;
  };

  int64_t numel(int64_t block, bool trainable) const { return arena_.layout().block_range(block, trainable).numel(); }
  /// Forgets what was gathered, and waits for what is on its way: what comes then does not depend on what was before,
  /// so that a CUDA graph can hold it.
  void forget();
  Slot* find(int64_t block);
  Slot& gather(int64_t block, const Slot* kept);
  void start_gather(Slot& slot, int64_t block);
  void gather_buckets(Slot& slot, int64_t block);
  void wait(Slot& slot);
  void place(int64_t block, const at::Tensor& memory);

  model::Arena& arena_;
  parallel::Communicator& communicator_;
  Shards trainable_, frozen_;
  std::optional<ops::CopyStream> uploads_;
  Slot resident_;
  std::array<Slot, 3> slots_;  // the block that runs, the next one, and the one before
  size_t oldest_ = 0;
  std::vector<Slot> all_;
};

}  // namespace txtsum::train
