#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "txtsum/config/parallel_config.h"
#include "txtsum/model/arena.h"
#include "txtsum/parallel/communicator.h"
#include "txtsum/parallel/shard_plan.h"
#include "txtsum/train/training_scope.h"
#include "txtsum/train/update_space.h"

namespace txtsum::train {

class GradientSlots;
class ValueSlots;

/// Elements of a bucket, in MiB of weights: what is reduced or gathered at once.
inline constexpr int64_t kBucketMib = 32;

class Sharding;

/// While it lives, all weights are there, for passes without hooks (validation, generation, saving). In stage 3 they
/// are gathered for it; in the others they are there anyway. All ranks make one.
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
/// end_micro_batch; reduce; the norm of own_gradients() over all ranks; the optimizer's step over space(); publish.
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
  /// The reverse, on a CPU: a tensor laid out like space(), as the trainable range, on rank 0; undefined on the others.
  /// A bucket at a time comes and goes. All ranks call it.
  at::Tensor gathered(const at::Tensor& local) const;
  /// To be called around blocks; null where nothing comes and goes with them.
  BlockHooks* hooks() { return stage_ >= 2 ? this : nullptr; }

  void begin_update();
  void begin_micro_batch();
  void end_micro_batch();
  /// Makes space().gradients the sums over ranks.
  void reduce();
  /// This rank's part of the sums over ranks, and its spans: the same in all stages.
  const at::Tensor& own_gradients() const { return stage_ == 0 && spread() ? reduced_ : space_.gradients; }
  const std::vector<ops::UpdateSpan>& own_spans() const { return own_spans_; }
  /// Squares of all gradients, added up over the ranks in their order.
  double square_sum();
  /// Sums over ranks of fp64 numbers (1-D, at most 8), where they are, without asking the host.
  at::Tensor summed(const at::Tensor& numbers) const;
  /// Whether a CUDA graph can hold a micro-batch.
  bool fits_graphs() const { return stage_ < 2 || communicator_.fits_graphs(); }
  /// Makes the working weights of all ranks what space().working is.
  void publish();

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
  std::vector<ops::UpdateSpan> own_spans_;            // of this rank's part, in a shard's coordinates
  at::Tensor reduced_;                                // stage 0 of several ranks: this rank's part of the sums
  std::unique_ptr<GradientSlots> gradients_;          // from stage 2 on
  std::unique_ptr<parallel::ShardPlan> frozen_plan_;  // in stage 3
  std::unique_ptr<ValueSlots> values_;
};

}  // namespace txtsum::train
