#include "txtsum/train/validation_loss.h"

#include <ATen/ATen.h>

#include <vector>

#include "txtsum/core/error.h"
#include "txtsum/ops/stop_scope.h"
#include "txtsum/parallel/agreed_stop.h"

namespace txtsum::train {
namespace {

constexpr const char* kStopped = "stopped while measuring the validation loss";
/// Micro-batches of a rank between two questions whether a signal has come to any rank.
constexpr int64_t kListenEvery = 8;

}  // namespace

ValidationLoss validation_loss(const model::Seq2SeqModel& model, MicroBatchSource& split, double label_smoothing,
                               parallel::Communicator& ranks) {
  const at::NoGradGuard no_grad;
  const at::Device device = model.arena().device();
  const at::Tensor sums_2 = at::zeros({2}, at::TensorOptions().dtype(at::kDouble).device(device));
  ValidationLoss result;
  ops::StopScope stop_scope(kStopped);
  const int64_t world = ranks.world(), rounds = (split.size() + world - 1) / world;
  const auto leave_if_asked = [&] {
    if (const int signal = parallel::agreed_stop_signal(ranks)) throw core::StoppedBySignal(kStopped, signal);
  };
  for (int64_t round = 0; round < rounds; ++round) {
    // All ranks ask in the same rounds, whether or not they have a micro-batch in the last one.
    if (world == 1 || round % kListenEvery == 0) leave_if_asked();
    const int64_t i = round * world + ranks.rank();
    if (i >= split.size()) break;
    const MicroBatch batch = split.micro_batch(i);
    model::ForwardContext context;
    if (world == 1) context.scope = &stop_scope;  // else all leave together
    const model::LossSum sum = model.loss(ops::to_device(batch.source, device), ops::to_device(batch.labels, device),
                                          label_smoothing, context);
    sums_2.select(0, 0).add_(sum.loss);
    sums_2.select(0, 1).add_(sum.nll);
    result.target_tokens += sum.tokens;
  }
  leave_if_asked();
  const at::Tensor own_2 = sums_2.cpu();
  std::vector<double> sums{own_2[0].item<double>(), own_2[1].item<double>(), static_cast<double>(result.target_tokens)};
  ranks.all_reduce(sums);
  result.target_tokens = static_cast<int64_t>(sums[2]);
  if (result.target_tokens == 0) throw core::DataError("the validation split has no target tokens");
  result.loss = sums[0] / sums[2];
  result.nll = sums[1] / sums[2];
  return result;
}

}  // namespace txtsum::train
