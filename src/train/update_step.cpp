#include "update_step.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "adamw_optimizer.h"
#include "txtsum/core/check.h"
#include "txtsum/core/error.h"
#include "txtsum/train/recompute_scope.h"

namespace txtsum::train {
namespace {

/// Examples that an error names before it says how many more there are.
constexpr size_t kNamedExamples = 8;
/// torch.nn.utils.clip_grad_norm_ adds this to the norm.
constexpr double kClipEpsilon = 1e-6;

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

UpdateStep::UpdateStep(const config::TrainConfig& config, uint64_t seed, model::Seq2SeqModel& model,
                       BatchSource& batches, parallel::Communicator& communicator, Optimizer& optimizer)
    : config_(config),
      seed_(seed),
      model_(model),
      batches_(batches),
      communicator_(communicator),
      optimizer_(optimizer),
      spans_(update_spans(model.arena().layout())) {
  model::Arena& arena = model.arena();
  const bool narrow = arena.dtype() == at::kBFloat16 && batches.one_micro_batch();
  arena.allocate_gradients(narrow ? at::kBFloat16 : at::kFloat);
  if (config.recompute == config::Recompute::kBlocks) scope_ = std::make_unique<RecomputeScope>(arena.layout());
}

UpdateResult UpdateStep::run(const GlobalBatch& batch, int64_t update, double learning_rate) {
  const at::Tensor& gradients = model_.arena().gradients();
  gradients.zero_();
  UpdateResult result;
  for (const MicroBatch& micro_batch : batch.micro_batches) add_micro_batch(micro_batch, update, result);

  communicator_.all_reduce(gradients);
  std::vector<double> sums{result.loss, result.nll, static_cast<double>(batch.target_tokens)};
  communicator_.all_reduce(sums);
  TXTSUM_CHECK(sums[2] > 0, "update ", update, " has no target tokens");
  const double per_token = 1.0 / sums[2];
  result.loss = sums[0] * per_token;
  result.nll = sums[1] * per_token;
  result.gradient_norm = ops::gradient_norm(gradients, spans_) * per_token;
  if (!std::isfinite(result.loss)) refuse("loss", result.loss, update, batch.examples);
  if (!std::isfinite(result.gradient_norm)) refuse("gradient norm", result.gradient_norm, update, batch.examples);

  double clip = 1.0;
  if (config_.clip_norm > 0) clip = std::min(1.0, config_.clip_norm / (result.gradient_norm + kClipEpsilon));
  optimizer_.step({update, learning_rate, clip * per_token});
  return result;
}

void UpdateStep::add_micro_batch(const MicroBatch& batch, int64_t update, UpdateResult& sums) {
  model::ForwardContext context;
  context.training = true;
  context.seed = seed_;
  context.update = update;
  context.scope = scope_.get();
  const model::LossSum sum = model_.loss(batch.source, batch.labels, config_.label_smoothing, context);
  const double loss = sum.loss.item<double>();
  if (!std::isfinite(loss)) refuse("loss", loss, update, example_numbers(batch.labels));
  // Where the output projection alone learns, its gradient is there already and no graph was built.
  if (sum.loss.requires_grad()) torch::autograd::backward({sum.loss});
  sums.loss += loss;
  sums.nll += sum.nll.item<double>();
}

void UpdateStep::refuse(const char* what, double value, int64_t update, const std::vector<int64_t>& examples) const {
  std::string names;
  for (size_t i = 0; i < std::min(examples.size(), kNamedExamples); ++i) {
    names += (i > 0 ? ", " : "") + batches_.describe_example(examples[i]);
  }
  if (examples.size() > kNamedExamples) names += " and " + std::to_string(examples.size() - kNamedExamples) + " more";
  throw core::DataError(
      "update " + std::to_string(update) + ": " + what + " is " + std::to_string(value) + " (examples " + names +
      "); nothing was updated. Lower optimizer.learning_rate, set schedule.warmup_updates or a smaller "
      "train.clip_norm, or train with train.precision=fp32; checkpoints of earlier updates are whole");
}

}  // namespace txtsum::train
