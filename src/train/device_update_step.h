#pragma once

#include <deque>
#include <map>
#include <utility>

#include "adamw_optimizer.h"
#include "batch_slot.h"
#include "txtsum/ops/device_copy.h"
#include "txtsum/ops/device_graph.h"
#include "txtsum/ops/device_update.h"
#include "update_step.h"

namespace txtsum::train {

/// Updates on a GPU by AdamW. Micro-batches are rounded up to buckets; a bucket that comes again is captured as a
/// graph, up to train.max_graphs of them, and what is not captured runs the same code eagerly. Nothing in an update
/// reads back to the host: its numbers come with finish(), while the next one runs. An offloaded optimizer
/// updates before start() returns: when norm and loss are there or, where nothing but the gradients makes the update
/// (goes_along), along with the backward pass.
class DeviceUpdateStep final : public UpdateStep {
 public:
  DeviceUpdateStep(const UpdateParts& parts, AdamWOptimizer& optimizer);
  /// Whether it has an offloaded optimizer that need not know the norm. The sharding is then to mark its gradients.
  static bool goes_along(const UpdateParts& parts, const AdamWOptimizer& optimizer);

  void start(const GlobalBatch& batch, int64_t update, double learning_rate) override;
  UpdateResult finish() override;
  bool runs_ahead() const override { return !optimizer_.is_offloaded(); }
  std::optional<ops::LossScaleState> loss_scale() const override { return update_.loss_scale(); }
  void restore(const ops::LossScaleState& state) override { update_.restore(state); }
  std::optional<GpuWork> gpu_work() const override { return work_; }

 private:
  /// One bucket that has occurred, at one place in its update.
  struct Shape {
    BatchSlot slot;
    MicroBatchPlace place;
    int64_t runs = 0;
    std::unique_ptr<ops::DeviceGraph> graph;
    parallel::TrafficCounts sent;  ///< By a replay of it.
  };
  using ShapeKey = std::pair<Bucket, MicroBatchPlace>;
  struct Started {
    int64_t update = 0;
    GlobalBatch batch;
  };

  void add_micro_batch(const GlobalBatch& all, size_t index, int64_t update);
  /// Makes encoded_room_ one of `rows` rows at least.
  void make_encoded_room(int64_t rows, const at::Tensor& like);
  /// Forward and backward of what is in the shape's slot; adds to the gradients and loss_sums_2_.
  void forward_backward(const Shape& shape, int64_t update);
  void capture(Shape& shape, int64_t update);
  /// Norm, clipping and AdamW.
  void start_optimizer(const StepScalars& scalars);
  bool capturable() const;
  /// Where the gradients of an update stopped being finite: the block nearest to the loss, since what lies before it in
  /// the model only passes on what it got.
  std::string overflowed_block(int64_t bad_element) const;

  UpdateParts parts_;
  AdamWOptimizer& optimizer_;
  std::unique_ptr<ops::BlockScope> scope_;
  at::Tensor loss_sums_2_;  // fp64
  ops::DeviceUpdate update_;
  ops::DeviceCopies copies_;
  at::Tensor encoded_room_;  // of micro-batches that have the encoder's outputs; the slots share it
  ops::DevicePool pool_;
  std::map<ShapeKey, Shape> shapes_;  // after pool_, whose memory its graphs use
  std::deque<Started> started_;
  GpuWork work_;
};

}  // namespace txtsum::train
