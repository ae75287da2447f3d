#include "txtsum/train/validation_loss.h"

#include <ATen/ATen.h>

#include "txtsum/core/error.h"
#include "txtsum/core/stop_signal.h"

namespace txtsum::train {

ValidationLoss validation_loss(const model::Seq2SeqModel& model, MicroBatchSource& split, double label_smoothing) {
  const at::NoGradGuard no_grad;
  ValidationLoss result;
  for (int64_t i = 0; i < split.size(); ++i) {
    if (const int signal = core::stop_signal()) {
      throw core::StoppedBySignal("stopped while measuring the validation loss", signal);
    }
    const MicroBatch batch = split.micro_batch(i);
    const model::LossSum sum = model.loss(batch.source, batch.labels, label_smoothing, model::ForwardContext{});
    result.loss += sum.loss.item<double>();
    result.nll += sum.nll.item<double>();
    result.target_tokens += sum.tokens;
  }
  if (result.target_tokens == 0) throw core::DataError("the validation split has no target tokens");
  result.loss /= static_cast<double>(result.target_tokens);
  result.nll /= static_cast<double>(result.target_tokens);
  return result;
}

}  // namespace txtsum::train
