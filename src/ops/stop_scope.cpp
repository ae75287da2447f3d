#include "txtsum/ops/stop_scope.h"

#include <ATen/ATen.h>

#include "txtsum/core/error.h"
#include "txtsum/core/stop_signal.h"

namespace txtsum::ops {
namespace {

void require_not_stopped(const std::string& text) {
  if (const int signal = core::stop_signal()) throw core::StoppedBySignal(text, signal);
}

}  // namespace

at::Tensor StopScope::run(int64_t block, const std::vector<at::Tensor>& inputs, const Body& body) {
  require_not_stopped(text_);
  at::Tensor output = inner_ != nullptr ? inner_->run(block, inputs, body) : body(inputs);
  if (output.requires_grad()) {
    output.register_hook([text = text_](const at::Tensor&) { require_not_stopped(text); });
  }
  return output;
}

}  // namespace txtsum::ops
