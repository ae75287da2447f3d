#include "named_weights.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "transformer_names.h"
#include "txtsum/core/error.h"

namespace txtsum::model {
namespace {

std::string shape_text(at::IntArrayRef shape) {
  std::string text = "[";
  for (const int64_t size : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(size);
  return text + "]";
}

/// Whether two tables are not the same. Two differ in their first rows, so that little is read of them.
bool differ(const at::Tensor& a, const at::Tensor& b) {
  if (a.sizes() != b.sizes() || a.dim() == 0) return true;
  constexpr int64_t kRows = 64;
  for (int64_t begin = 0; begin < a.size(0); begin += kRows) {
    const int64_t count = std::min(kRows, a.size(0) - begin);
    if (!at::equal(a.narrow(0, begin, count).to(at::kFloat), b.narrow(0, begin, count).to(at::kFloat))) return true;
  }
  return false;
}

}  // namespace

NamedWeights::NamedWeights(const std::string& folder, const TransformerArchitecture& architecture)
    : weights_(folder), prefix_(architecture.prefix.empty() ? "" : architecture.prefix + ".") {
  for (const std::string& name : weights_.names()) unused_.insert(name);
}

at::Tensor NamedWeights::take(const std::string& name, at::IntArrayRef shape) {
  const std::optional<std::string> found = claim(name, shape);
  return found ? weights_.tensor(*found) : at::Tensor();
}

std::optional<std::string> NamedWeights::claim(const std::string& name, at::IntArrayRef shape) {
  for (const std::string& candidate : candidates(name)) {
    const io::TensorEntry* entry = weights_.find(candidate);
    if (entry == nullptr) continue;
    unused_.erase(candidate);
    if (at::IntArrayRef(entry->shape) != shape) {
      throw core::DataError(weights_.folder() + ": weight " + candidate + ": wanted shape " + shape_text(shape) +
                            ", found " + shape_text(entry->shape));
    }
    return candidate;
  }
  return std::nullopt;
}

bool NamedWeights::has_other_head() const {
  const std::string head = kOutputTable + std::string(".weight"), table = prefix_ + "shared.weight";
  if (weights_.find(head) == nullptr) return false;
  for (const std::string& candidate : candidates(table)) {
    if (candidate == head || weights_.find(candidate) == nullptr) continue;
    return differ(weights_.tensor(candidate), weights_.tensor(head));
  }
  return false;
}

void NamedWeights::check_nothing_left() const {
  for (const std::string& name : unused_) {
    const bool duplicate = name.find("embed_tokens.weight") != std::string::npos || name == "lm_head.weight";
    // fairseq's mark, in early uploads, and a table that early T5 had and never used; transformers passes over both.
    const bool left_over = name.ends_with("encoder.version") || name.ends_with("decoder.version") ||
                           name == "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight";
    if (!duplicate && !left_over)
      throw core::DataError(weights_.folder() + ": weight " + name + " does not belong to this model");
  }
}

std::vector<std::string> NamedWeights::candidates(const std::string& name) const {
  std::vector<std::string> names{name};
  if (name == prefix_ + "shared.weight") {
    names.insert(names.end(), {prefix_ + "encoder.embed_tokens.weight", "lm_head.weight"});
  }
  const size_t count = names.size();
  for (size_t i = 0; i < count && !prefix_.empty(); ++i) {
    if (names[i].starts_with(prefix_)) names.push_back(names[i].substr(prefix_.size()));
  }
  return names;
}

}  // namespace txtsum::model
