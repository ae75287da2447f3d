#include "device_update_step.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <utility>

#include "bad_block.h"
#include "txtsum/core/check.h"
#include "txtsum/core/log.h"
#include "txtsum/ops/device.h"
#include "txtsum/ops/varlen_attention.h"

namespace txtsum::train {
namespace {

/// A shape is captured when it comes for the second time: what has run once has its kernels loaded, and what comes once
/// is not worth it.
constexpr int64_t kRunsBeforeCapture = 1;
/// Gradients that overflow at a smaller loss scale are the model's own.
constexpr double kLeastLossScale = 1.0;

std::string short_text(double value) {
  char text[32];
  std::snprintf(text, sizeof(text), "%g", value);
  return text;
}

double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

}  // namespace

bool DeviceUpdateStep::goes_along(const UpdateParts& parts, const AdamWOptimizer& optimizer) {
  return optimizer.is_offloaded() && !parts.config.needs_norm();
}

DeviceUpdateStep::DeviceUpdateStep(const UpdateParts& parts, AdamWOptimizer& optimizer)
    : parts_(parts),
      optimizer_(optimizer),
      scope_(make_block_scope(parts)),
      loss_sums_2_(at::zeros({2}, at::TensorOptions().dtype(at::kDouble).device(parts.model.arena().device()))),
      update_(parts.sharding.space().spans, /*scales_loss=*/parts.model.arena().dtype() == at::kHalf),
      copies_(parts.model.arena().device()),
      pool_(parts.model.arena().device()) {
  const model::ModelFacts& facts = parts.model.facts();
  if (facts.relative_bias && facts.drops_probabilities) {
    core::log_warning(
        "attention with biases by distance that drops probabilities goes sequence by sequence on a GPU; "
        "model.attention_dropout=0 takes the fused kernel");
  }
}

void DeviceUpdateStep::start(const GlobalBatch& batch, int64_t update, double learning_rate) {
  TXTSUM_CHECK(batch.target_tokens > 0, "update ", update, " has no target tokens");
  const double per_token = 1.0 / static_cast<double>(batch.target_tokens);
  update_.begin(per_token);
  Sharding& sharding = parts_.sharding;
  sharding.communicator().set_phase(update, "forward and backward");
  sharding.begin_update(static_cast<int64_t>(batch.micro_batches.size()));
  loss_sums_2_.zero_();
  for (size_t i = 0; i < batch.micro_batches.size(); ++i) add_micro_batch(batch, i, update);
  sharding.communicator().set_phase(update, "sums of gradients");
  start_optimizer({update, learning_rate, per_token});
  sharding.communicator().set_phase(update, "weights");
  sharding.weights_changed();
  started_.push_back({update, batch});
}

void DeviceUpdateStep::start_optimizer(const StepScalars& scalars) {
  Sharding& sharding = parts_.sharding;
  const ops::DeviceUpdate::OverRanks over_ranks{sharding.own_gradients(), &sharding.own_spans(),
                                                [&](const at::Tensor& numbers) { return sharding.summed(numbers); }};
  const auto* ranks = sharding.communicator().world() == 1 ? nullptr : &over_ranks;
  const ops::AdamWTensors tensors = optimizer_.tensors();
  const ops::AdamWScalars numbers = optimizer_.scalars(scalars);
  const double clip_norm = parts_.config.clip_norm;
  if (!optimizer_.is_offloaded()) {
    return update_.start(tensors, numbers, loss_sums_2_, clip_norm, kClipEpsilon, ranks);
  }
  update_.measure(tensors.gradients, numbers, loss_sums_2_, clip_norm, kClipEpsilon, ranks);
  if (const auto* marks = sharding.gradient_marks()) {
    optimizer_.update(numbers, *marks);
  } else if (const auto found = update_.measured(numbers)) {
    optimizer_.update(*found);
  }
  update_.resume();
}

UpdateResult DeviceUpdateStep::finish() {
  const ops::DeviceUpdateNumbers numbers = update_.finish();
  const Started done = std::move(started_.front());
  started_.pop_front();
  work_.busy_seconds += numbers.seconds;
  work_.waited_seconds += numbers.waited_seconds;
  UpdateResult result{numbers.loss, numbers.nll, numbers.gradient_norm, numbers.loss_scale, false};
  if (!std::isfinite(numbers.loss)) {
    const WholeWeights whole(parts_.sharding);
    const std::string block = first_bad_block(parts_, done.batch, done.update);
    refuse_update(parts_.batches, {done.update, "loss", numbers.loss, block, done.batch.examples});
  }
  if (std::isfinite(numbers.gradient_norm)) return result;
  const std::string block = numbers.bad_element ? overflowed_block(*numbers.bad_element) : "";
  if (parts_.model.arena().dtype() != at::kHalf || numbers.next_loss_scale < kLeastLossScale) {
    refuse_update(parts_.batches, {done.update, "gradient norm", numbers.gradient_norm, block, done.batch.examples});
  }
  result.gradient_norm = 0.0;
  result.left_out = true;
  core::log_info("update " + std::to_string(done.update) + ": a gradient overflowed in " + block + " at loss scale " +
                 short_text(numbers.loss_scale) + "; the update is left out, the scale is now " +
                 short_text(numbers.next_loss_scale));
  return result;
}

std::string DeviceUpdateStep::overflowed_block(int64_t bad_element) const {
  const model::ArenaLayout& layout = parts_.model.arena().layout();
  int64_t block = 0;
  for (const model::ArenaEntry& entry : layout.entries()) {
    if (entry.in_trainable_range && entry.offset <= bad_element) block = std::max(block, entry.block);
  }
  return block_name(layout, block);
}

bool DeviceUpdateStep::capturable() const {
  // Recomputation draws the masks of probabilities again by moving a generator back, which a graph cannot hold (all
  // other masks are functions of their keys); a model that leaves layers out runs other work at each update; attention
  // sequence by sequence has a shape of its own for each batch.
  const model::ModelFacts& facts = parts_.model.facts();
  const bool recomputes = parts_.config.recompute == config::Recompute::kBlocks;
  return parts_.sharding.fits_graphs() && !(recomputes && facts.drops_probabilities) && !facts.drops_layers &&
         !facts.asks_host && ops::attention_is_fused(parts_.model.arena().dtype(), facts.drops_probabilities);
}

void DeviceUpdateStep::add_micro_batch(const GlobalBatch& all, size_t index, int64_t update) {
  const MicroBatch& batch = all.micro_batches[index];
  const Bucket bucket = bucket_of(batch, parts_.model.facts());
  const MicroBatchPlace place{index == 0, index + 1 == all.micro_batches.size()};
  const ShapeKey key{bucket, parts_.sharding.acted_on(place)};
  auto found = shapes_.find(key);
  if (found == shapes_.end()) {
    if (batch.encoded_ND.defined()) make_encoded_room(bucket.source_tokens, batch.encoded_ND);
    Shape fresh{BatchSlot(bucket, parts_.model.arena().device(), encoded_room_), key.second, 0, nullptr, {}};
    found = shapes_.emplace(key, std::move(fresh)).first;
  }
  Shape& shape = found->second;
  shape.slot.fill(pad_to(batch, bucket, parts_.model.facts().pad_id), parts_.seed, update, copies_);
  ops::seed_device_generator(parts_.seed, update, static_cast<int64_t>(index));
  if (!shape.graph && capturable() && shape.runs >= kRunsBeforeCapture && work_.graphs < parts_.config.max_graphs) {
    capture(shape, update);
  }
  if (shape.graph) {
    shape.graph->replay();
    if (parts_.sharding.hooks() != nullptr) parts_.sharding.communicator().watch_replay(shape.sent);
    ++work_.replays;
  } else {
    pool_.run([&] { forward_backward(shape, update); });
    ++work_.eager_runs;
  }
  ++shape.runs;
  work_.shapes = static_cast<int64_t>(shapes_.size());
  work_.tokens += batch.source.tokens() + batch.labels.tokens();
  work_.padded_tokens += bucket.source_tokens + bucket.target_tokens;
}

void DeviceUpdateStep::make_encoded_room(int64_t rows, const at::Tensor& like) {
  const int64_t before = encoded_room_.defined() ? encoded_room_.size(0) : 0;
  if (rows <= before) return;
  // Twice as much, since graphs go on reading from where they were captured.
  encoded_room_ = at::zeros({std::max(rows, 2 * before), like.size(1)},
                            at::TensorOptions().dtype(like.dtype()).device(parts_.model.arena().device()));
}

void DeviceUpdateStep::forward_backward(const Shape& shape, int64_t update) {
  const BatchSlot& slot = shape.slot;
  model::ForwardContext context;
  context.training = true;
  context.seed = parts_.seed;
  context.update = update;
  context.dropout_words_2 = slot.dropout_words_2();
  context.loss_factor_1 = update_.loss_factor();
  context.scope = scope_.get();
  context.encoded_ND = slot.batch().encoded_ND;
  parts_.sharding.begin_micro_batch(shape.place);
  const model::LossSum sum =
      parts_.model.loss(slot.batch().source, slot.batch().labels, parts_.config.label_smoothing, context);
  if (sum.loss.requires_grad()) torch::autograd::backward({sum.loss});
  const at::NoGradGuard no_grad;
  parts_.sharding.end_micro_batch();
  loss_sums_2_.select(0, 0).add_(sum.loss.detach());
  loss_sums_2_.select(0, 1).add_(sum.nll);
}

void DeviceUpdateStep::capture(Shape& shape, int64_t update) {
  const auto begin = std::chrono::steady_clock::now();
  parallel::Communicator& ranks = parts_.sharding.communicator();
  const parallel::TrafficCounts before = ranks.counts();
  shape.graph = pool_.capture([&] { forward_backward(shape, update); });
  shape.sent = ranks.take_captured(before);
  ++work_.graphs;
  work_.capture_seconds += seconds_since(begin);
}

}  // namespace txtsum::train
