#include "txtsum/model/long_positions.h"

#include <ATen/ATen.h>

#include "txtsum/core/error.h"

namespace txtsum::model {
namespace {

void check(const LoadedModel& bart, const LongPositions& sizes) {
  const ModelFacts& facts = bart.model->facts();
  if (facts.family != "bart") throw core::UserError("only a BART can be converted, found family " + facts.family);
  if (sizes.max_source_tokens < facts.max_source_tokens) {
    throw core::UserError("the model has " + std::to_string(facts.max_source_tokens) +
                          " positions already, more than " + std::to_string(sizes.max_source_tokens));
  }
}

/// Rows of one of the BART's position tables before position 0.
int64_t offset_of(const LoadedModel& bart, const at::Tensor& table) {
  return table.size(0) - bart.model->facts().max_source_tokens;
}

/// Rows of `table` over and over, `rows` of them.
at::Tensor repeated_rows(const at::Tensor& table, int64_t rows) {
  const int64_t times = (rows + table.size(0) - 1) / table.size(0);
  return table.repeat({times, 1}).narrow(0, 0, rows).contiguous();
}

std::string replaced(std::string name, const std::string& part, const std::string& by) {
  const size_t place = name.find(part);
  return place == std::string::npos ? name : name.replace(place, part.size(), by);
}

/// Every tensor of the model as its file has it.
std::vector<std::pair<std::string, at::Tensor>> tensors_of(const LoadedModel& bart) {
  std::vector<std::pair<std::string, at::Tensor>> tensors;
  at::ScalarType type = at::kFloat;
  for (const ArenaEntry& entry : bart.model->arena().layout().entries()) {
    const at::Tensor source = source_of(bart, entry);
    tensors.emplace_back(entry.name, source.defined() ? source : bart.model->arena().entry_values(entry));
    type = tensors.back().second.scalar_type();
  }
  for (const auto& [name, tensor] : bart.model->buffers()) tensors.emplace_back(name, tensor.to(type));
  return tensors;
}

}  // namespace

ConvertedModel led_from_bart(const LoadedModel& bart, const LongPositions& sizes) {
  check(bart, sizes);
  if (sizes.window <= 0 || sizes.window % 2 != 0) {
    throw core::UserError("the window must be a positive even number, found " + std::to_string(sizes.window));
  }
  ConvertedModel led;
  led.config = bart.config;
  if (led.config.value("scale_embedding", false)) {
    throw core::UserError("this BART scales its embeddings (config.json's scale_embedding), which an LED cannot");
  }
  const ModelFacts& facts = bart.model->facts();
  led.config["model_type"] = "led";
  led.config["architectures"] = {"LEDForConditionalGeneration"};
  led.config["attention_window"] = std::vector<int64_t>(static_cast<size_t>(facts.encoder_layers), sizes.window);
  led.config["max_encoder_position_embeddings"] = sizes.max_source_tokens;
  led.config["max_decoder_position_embeddings"] = facts.max_target_tokens;
  for (const char* key : {"max_position_embeddings", "scale_embedding", "static_position_embeddings",
                          "normalize_before", "add_final_layer_norm", "normalize_embedding"}) {
    led.config.erase(key);
  }
  for (const auto& [bart_name, tensor] : tensors_of(bart)) {
    std::string name = bart_name.starts_with("model.") ? "led." + bart_name.substr(6) : bart_name;
    if (name.ends_with("embed_positions.weight")) {
      const at::Tensor positions = tensor.slice(0, offset_of(bart, tensor));
      const bool encoder = name.find(".encoder.") != std::string::npos;
      led.tensors.emplace_back(name,
                               encoder ? repeated_rows(positions, sizes.max_source_tokens) : positions.contiguous());
      continue;
    }
    if (name.find(".encoder.") == std::string::npos || name.find(".self_attn.") == std::string::npos) {
      led.tensors.emplace_back(name, tensor);
      continue;
    }
    name = replaced(name, ".self_attn.out_proj", ".self_attn.output");
    for (const auto& [theirs, ours] : {std::pair("q_proj", "query"), {"k_proj", "key"}, {"v_proj", "value"}}) {
      const std::string part = std::string(".self_attn.") + theirs;
      if (name.find(part) == std::string::npos) continue;
      const std::string local = std::string(".self_attn.longformer_self_attn.") + ours;
      led.tensors.emplace_back(replaced(name, part, local + "_global"), tensor);
      name = replaced(name, part, local);
    }
    led.tensors.emplace_back(name, tensor);
  }
  return led;
}

ConvertedModel longer_bart(const LoadedModel& bart, const LongPositions& sizes) {
  check(bart, sizes);
  ConvertedModel longer;
  longer.config = bart.config;
  longer.config["max_position_embeddings"] = sizes.max_source_tokens;
  for (const auto& [name, tensor] : tensors_of(bart)) {
    if (!name.ends_with("embed_positions.weight")) {
      longer.tensors.emplace_back(name, tensor);
      continue;
    }
    const int64_t offset = offset_of(bart, tensor);
    longer.tensors.emplace_back(
        name, at::cat({tensor.slice(0, 0, offset), repeated_rows(tensor.slice(0, offset), sizes.max_source_tokens)}));
  }
  return longer;
}

}  // namespace txtsum::model
