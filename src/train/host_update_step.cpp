#include "host_update_step.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "bad_block.h"
#include "txtsum/core/check.h"
#include "txtsum/ops/device.h"

namespace txtsum::train {
namespace {

std::vector<int64_t> example_numbers(const ops::RaggedTokens& tokens) {
  std::vector<int64_t> numbers;
  const int64_t* examples = tokens.examples_N.const_data_ptr<int64_t>();
  for (int64_t b = 0; b < tokens.sequences(); ++b) {
    const int64_t begin = tokens.offsets[static_cast<size_t>(b)];
    if (begin < tokens.offsets[static_cast<size_t>(b) + 1]) numbers.push_back(examples[begin]);
  }
  return numbers;
}

}  // namespace

HostUpdateStep::HostUpdateStep(const UpdateParts& parts)
    : parts_(parts), scope_(make_block_scope(parts)), stop_scope_("stopped in an update", scope_.get()) {}

void HostUpdateStep::start(const GlobalBatch& batch, int64_t update, double learning_rate) {
  TXTSUM_CHECK(batch.target_tokens > 0, "update ", update, " has no target tokens");
  Sharding& sharding = parts_.sharding;
  parallel::Communicator& communicator = sharding.communicator();
  communicator.set_phase(update, "forward and backward");
  sharding.begin_update(static_cast<int64_t>(batch.micro_batches.size()));
  UpdateResult result;
  if (parts_.model.arena().device().is_cuda()) ops::seed_device_generator(parts_.seed, update, 0);
  for (size_t i = 0; i < batch.micro_batches.size(); ++i) add_micro_batch(batch, i, update, result);

  communicator.set_phase(update, "sums of gradients");
  std::vector<double> sums{result.loss, result.nll};
  communicator.all_reduce(sums);
  const double per_token = 1.0 / static_cast<double>(batch.target_tokens);
  result.loss = sums[0] * per_token;
  result.nll = sums[1] * per_token;
  result.gradient_norm = std::sqrt(sharding.square_sum()) * per_token;
  const auto check = [&](const char* what, double value) {
    if (std::isfinite(value)) return;
    const WholeWeights whole(sharding);
    refuse_update(parts_.batches, {update, what, value, first_bad_block(parts_, batch, update), batch.examples});
  };
  check("loss", result.loss);
  check("gradient norm", result.gradient_norm);

  double clip = 1.0;
  if (parts_.config.clip_norm > 0) {
    clip = std::min(1.0, parts_.config.clip_norm / (result.gradient_norm + kClipEpsilon));
  }
  parts_.optimizer.step({update, learning_rate, clip * per_token});
  communicator.set_phase(update, "weights");
  sharding.weights_changed();
  result_ = result;
}

UpdateResult HostUpdateStep::finish() { return result_; }

void HostUpdateStep::add_micro_batch(const GlobalBatch& all, size_t index, int64_t update, UpdateResult& sums) {
  const MicroBatch& batch = all.micro_batches[index];
  const at::Device device = parts_.model.arena().device();
  model::ForwardContext context;
  context.training = true;
  context.seed = parts_.seed;
  context.update = update;
  // Ranks that go on would wait for one that stops alone.
  const bool alone = parts_.sharding.communicator().world() == 1;
  context.scope = alone ? &stop_scope_ : scope_.get();
  if (batch.encoded_ND.defined()) context.encoded_ND = batch.encoded_ND.to(device);
  parts_.sharding.begin_micro_batch({index == 0, index + 1 == all.micro_batches.size()});
  const model::LossSum sum =
      parts_.model.loss(ops::to_device(batch.source, device), ops::to_device(batch.labels, device),
                        parts_.config.label_smoothing, context);
  const double loss = sum.loss.item<double>();
  if (!std::isfinite(loss) && alone) {
    const GlobalBatch one{{batch}, example_numbers(batch.labels), batch.source.tokens(), batch.labels.tokens()};
    const WholeWeights whole(parts_.sharding);
    refuse_update(parts_.batches, {update, "loss", loss, first_bad_block(parts_, one, update), one.examples});
  }
  // Where the output projection alone learns, its gradient is there already and no graph was built.
  if (sum.loss.requires_grad()) torch::autograd::backward({sum.loss});
  parts_.sharding.end_micro_batch();
  sums.loss += loss;
  sums.nll += sum.nll.item<double>();
}

}  // namespace txtsum::train
