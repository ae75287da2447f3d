#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "gradient_marks.h"
#include "micro_batch_place.h"
#include "txtsum/config/parallel_config.h"
#include "txtsum/model/arena.h"
#include "txtsum/parallel/communicator.h"
#include "txtsum/parallel/shard_plan.h"
#include "txtsum/train/training_scope.h"
#include "txtsum/train/update_space.h"

namespace txtsum::train {

class BlockGradients;
class BlockValues;

/// Elements of a bucket, in MiB of weights: what is reduced or gathered at once.
inline constexpr int64_t kBucketMib = 32;

/// How the trainable or the frozen range is cut among the ranks.
parallel::ShardPlan shard_plan_of(const model::ArenaLayout& layout, at::ScalarType weights, int64_t rank, int64_t world,
                                  bool trainable);

/// Elements of the largest block that comes and goes: block 0 is always there.
int64_t largest_block(const model::ArenaLayout& layout, bool with_frozen);

class Sharding;

/// A stretch of a parameter that a rank has, in elements.
struct HeldStretch {
  int64_t rank = 0;
  int64_t begin = 0;  ///< First element of the parameter, in row-major order.
  int64_t numel = 0;
  int64_t local = 0;  ///< Where it lies in what the rank has.
};

/// While it lives, all weights are there, for passes without hooks (validation, generation). From stage 1 on they may
/// have to be gathered for it. All ranks make one.
class WholeWeights {
 public:
  explicit WholeWeights(Sharding& sharding);
  ~WholeWeights();
  WholeWeights(const WholeWeights&) = delete;
  WholeWeights& operator=(const WholeWeights&) = delete;

 private:
  Sharding& sharding_;
};

/// How a training's optimizer state, gradients and weights are spread over the ranks (parallel.zero_stage), and which
/// shards lie in host memory (parallel.offload). All stages
/// reduce and gather the same buckets and take the gradient norm in the same order, so that on one number of ranks they
/// give the same bits: stage 0 and 1 add micro-batches before ranks, stage 2 and 3 ranks before micro-batches.
///
/// An update goes: begin_update; for each micro-batch begin_micro_batch, a forward and a backward pass within hooks(),
/// end_micro_batch; the norm of own_gradients() over all ranks; the optimizer's step over space(); weights_changed.
class Sharding final : public BlockHooks {
 public:
  /// References must outlive it. From stage 3 on the arena's buffer of values is given up.
  Sharding(model::Arena& arena, parallel::Communicator& communicator, const config::ParallelConfig& config,
           at::ScalarType gradient_type);
  ~Sharding() override;

  parallel::Communicator& communicator() const { return communicator_; }
  int64_t stage() const { return stage_; }
  at::ScalarType gradient_type() const { return gradient_type_; }
  /// What this rank's optimizer updates.
  const UpdateSpace& space() const { return space_; }
  /// Whether space() is the whole trainable range.
  bool whole() const { return stage_ == 0; }
  /// Of a tensor laid out like the trainable range, what space() has.
  at::Tensor part_of(const at::Tensor& trainable) const;
  /// Who has what of a parameter, ascending: of a tensor laid out like space() or, of a frozen parameter, of
  /// frozen_values(). What all ranks have counts as rank 0's.
  std::vector<HeldStretch> holders(const model::ArenaEntry& entry) const;
  /// What this rank has of the frozen weights, in the model's type.
  const at::Tensor& frozen_values() const { return frozen_plan_ ? frozen_ : arena_.values(); }
  /// Has each update mark where its gradients are there, block by block, on a GPU. Before hooks() is asked for.
  void mark_gradients();
  /// Null where that was not asked for.
  const std::vector<ops::GradientMark>* gradient_marks() const { return marks_ ? &marks_->all() : nullptr; }
  /// To be called around blocks; null where nothing goes with them.
  BlockHooks* hooks() { return spread() || marks_ ? this : nullptr; }

  void begin_update(int64_t micro_batches);
  /// What of a micro-batch's place is acted on, which a graph holds: one that is alone need not clear gradients; where
  /// ranks exchange, the first gathers weights and the last sums gradients; marks are the last one's.
  MicroBatchPlace acted_on(const MicroBatchPlace& place) const {
    if (spread()) return place;
    return {place.alone(), marks_ ? place.last : place.alone()};
  }
  void begin_micro_batch(const MicroBatchPlace& place);
  /// Behind the last one space().gradients are the sums over ranks.
  void end_micro_batch();
  /// This rank's part of the sums over ranks, and its spans: the same in all stages.
  const at::Tensor& own_gradients() const { return stage_ == 0 && spread() ? reduced_ : space_.gradients; }
  const std::vector<ops::UpdateSpan>& own_spans() const { return own_spans_; }
  /// Squares of all gradients, added up over the ranks in their order.
  double square_sum();
  /// Sums over ranks of fp64 numbers (1-D, at most 8), where they are, without asking the host.
  at::Tensor summed(const at::Tensor& numbers) const;
  /// Whether a CUDA graph can hold a micro-batch.
  bool fits_graphs() const { return !spread() || communicator_.fits_graphs(); }
  /// What space().working is, the weights of all ranks are to become, by the next pass that needs them.
  void weights_changed();

  /// What this rank holds of weights in the model's type, and of gradients, where the model is.
  int64_t value_bytes() const;
  int64_t gradient_bytes() const;
  /// Of weights in host memory, where the model is on a GPU.
  int64_t offloaded_value_bytes() const;

  void enter(int64_t block, Pass pass) override;
  void leave(int64_t block, Pass pass) override;

 private:
  friend class WholeWeights;
  bool spread() const { return communicator_.world() > 1 || stage_ > 0; }
  void spread_values();
  /// What a plan gives to its rank of a tensor laid out like the arena, as its shard: where the tensor is, or in host
  /// memory.
  at::Tensor shard_of(const at::Tensor& arena, const parallel::ShardPlan& plan, bool on_host) const;

  model::Arena& arena_;
  parallel::Communicator& communicator_;
  int64_t stage_;
  config::Offload offload_;
  at::ScalarType gradient_type_;
  parallel::ShardPlan plan_;
  UpdateSpace space_;
  std::vector<ops::UpdateSpan> own_spans_;  // of this rank's part, in a shard's coordinates
  at::Tensor reduced_;                      // stage 0 of several ranks: this rank's part of the sums
  std::unique_ptr<GradientMarks> marks_;
  std::unique_ptr<BlockGradients> gradients_;
  std::unique_ptr<parallel::ShardPlan> frozen_plan_;  // in stage 3, with what this rank has by it
  at::Tensor frozen_;
  std::unique_ptr<BlockValues> values_;  // from stage 1 on
};

}  // namespace txtsum::train
