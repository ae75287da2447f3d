#include "bad_block.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <optional>

namespace txtsum::train {
namespace {

class FiniteScope final : public ops::BlockScope {
 public:
  at::Tensor run(int64_t block, const std::vector<at::Tensor>& inputs, const Body& body) override {
    const at::Tensor result = body(inputs);
    if (!bad && !at::isfinite(result).all().item<bool>()) bad = block;
    return result;
  }

  std::optional<int64_t> bad;
};

}  // namespace

std::string block_name(const model::ArenaLayout& layout, int64_t block) {
  std::optional<std::string> shared;
  for (const model::ArenaEntry& entry : layout.entries()) {
    if (entry.block != block) continue;
    if (!shared) {
      shared = entry.name;
      continue;
    }
    const auto [end, other] = std::mismatch(shared->begin(), shared->end(), entry.name.begin(), entry.name.end());
    const std::string common(shared->begin(), end);
    const size_t dot = common.rfind('.');
    shared = dot == std::string::npos ? "" : common.substr(0, dot + 1);
  }
  if (!shared || shared->empty()) return "block " + std::to_string(block);
  if (shared->back() == '.') shared->pop_back();
  return *shared;
}

std::string first_bad_block(const UpdateParts& parts, const GlobalBatch& batch, int64_t update) {
  const at::NoGradGuard no_grad;
  FiniteScope scope;
  model::ForwardContext context;
  context.training = true;
  context.seed = parts.seed;
  context.update = update;
  context.scope = &scope;
  const at::Device device = parts.model.arena().device();
  for (const MicroBatch& micro : batch.micro_batches) {
    context.encoded_ND = micro.encoded_ND.defined() ? micro.encoded_ND.to(device) : micro.encoded_ND;
    parts.model.loss(ops::to_device(micro.source, device), ops::to_device(micro.labels, device), 0.0, context);
    if (scope.bad) return block_name(parts.model.arena().layout(), *scope.bad);
  }
  return {};
}

}  // namespace txtsum::train
