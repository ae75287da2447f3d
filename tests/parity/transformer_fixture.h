#pragma once

#include <ATen/ATen.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "txtsum/io/safetensors.h"
#include "txtsum/model/model_folder.h"
#include "txtsum/ops/ragged.h"

namespace txtsum::tests {

/// Families that scripts/reference/make_transformer_fixtures.py makes a tiny model of.
inline const std::vector<std::string> kFamilies{"bart", "bigbird_pegasus", "led", "mbart", "pegasus", "t5", "t5_gated"};

/// The tiny model of one family with its batches and results.
class TransformerFixture {
 public:
  explicit TransformerFixture(const std::string& family)
      : folder_(TXTSUM_SOURCE_DIR "/tests/fixtures/parity/" + family + "_tiny"),
        reference_(folder_ + "/reference.safetensors") {}

  const std::string& folder() const { return folder_; }

  model::LoadedModel load(at::ScalarType dtype = at::kFloat, std::vector<std::string> freeze = {}) const {
    model::LoadRequest request;
    request.folder = folder_;
    request.dtype = dtype;
    request.freeze = std::move(freeze);
    return model::load_model(request);
  }

  at::Tensor tensor(const std::string& name) const { return reference_.tensor(name); }
  at::Tensor batch_tensor(int batch, const std::string& name) const {
    return tensor("batch" + std::to_string(batch) + "." + name);
  }

  ops::RaggedTokens tokens(int batch, const std::string& side) const {
    std::vector<int64_t> offsets{0}, examples;
    const at::Tensor lengths = batch_tensor(batch, side + "_lengths");
    for (int64_t b = 0; b < lengths.numel(); ++b) {
      offsets.push_back(offsets.back() + lengths[b].item<int64_t>());
      examples.push_back(100 * batch + b);
    }
    const at::Tensor ids = batch_tensor(batch, side + "_ids");
    const int64_t* data = ids.const_data_ptr<int64_t>();
    return ops::make_ragged_tokens({data, data + ids.numel()}, offsets, examples);
  }

  static constexpr int kBatches = 3;

 private:
  std::string folder_;
  io::SafetensorsFile reference_;
};

/// What a folder of the model has, in fp32 and name order.
inline std::vector<std::pair<std::string, at::Tensor>> tensors_of(const model::LoadedModel& loaded) {
  const model::Arena& arena = loaded.model->arena();
  std::vector<std::pair<std::string, at::Tensor>> tensors = loaded.model->buffers();
  for (const model::ArenaEntry& entry : arena.layout().entries()) {
    tensors.emplace_back(entry.name, arena.entry_values(entry).to(at::kFloat));
  }
  std::sort(tensors.begin(), tensors.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  return tensors;
}

/// max |ours - reference| / max |reference|.
inline double relative_error(const at::Tensor& ours, const at::Tensor& reference) {
  const at::Tensor wanted = reference.to(at::kDouble), found = ours.detach().to(at::kDouble).view(wanted.sizes());
  const double scale = std::max(wanted.abs().max().item<double>(), 1e-30);
  return (found - wanted).abs().max().item<double>() / scale;
}

}  // namespace txtsum::tests
