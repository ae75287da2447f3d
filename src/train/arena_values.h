#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "block_values.h"
#include "txtsum/model/arena.h"
#include "txtsum/parallel/communicator.h"
#include "txtsum/parallel/shard_plan.h"

namespace txtsum::train {

/// Weights that have their place in the arena on every rank: after an update they are gathered there while the next
/// forward pass runs, which waits for each block where it enters it.
class ArenaValues final : public BlockValues {
 public:
  /// `shard`: this rank's part of the trainable weights.
  ArenaValues(model::Arena& arena, parallel::Communicator& communicator, const parallel::ShardPlan& plan,
              at::Tensor shard);

  void shards_changed() override { is_stale_ = true; }
  void begin_micro_batch(bool first) override;
  void enter(int64_t block, Pass pass) override;
  void leave(int64_t) override {}
  void end_micro_batch() override;
  void gather_all() override;
  void release_all() override {}
  int64_t bytes() const override;

 private:
  void start();
  void wait(int64_t block);

  model::Arena& arena_;
  parallel::Communicator& communicator_;
  const parallel::ShardPlan& plan_;
  at::Tensor shard_;
  bool is_stale_ = false;  // a graph's replay leaves it as it is: gathered once too often is no harm
  std::vector<std::vector<parallel::TicketRef>> tickets_;  // by block
};

}  // namespace txtsum::train
