#include "txtsum/model/freezing.h"

#include <fnmatch.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "txtsum/core/error.h"

namespace txtsum::model {
namespace {

/// The table that all layers of a T5's stack share stands among the parameters of the first one.
bool is_relative_bias(const std::string& name) { return name.ends_with("relative_attention_bias.weight"); }

bool is_embedding(const std::string& name) {
  return is_relative_bias(name) || name.find("embed_positions") != std::string::npos ||
         name.find("embed_tokens") != std::string::npos || name == "shared.weight" || name.ends_with(".shared.weight");
}

/// Number that starts `text`; consumes it.
std::optional<int64_t> take_number(std::string_view& text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc()) return std::nullopt;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return value;
}

/// A stretch of layers of one side: `encoder.layers.0-5`.
struct LayerRange {
  std::string side;
  int64_t first = 0, last = 0;
};

std::optional<LayerRange> parse_layers(const std::string& pattern) {
  for (const std::string side : {"encoder", "decoder"}) {
    const std::string prefix = side + ".layers.";
    if (pattern.rfind(prefix, 0) != 0) continue;
    std::string_view rest = std::string_view(pattern).substr(prefix.size());
    const auto first = take_number(rest);
    if (!first) return std::nullopt;
    if (rest.empty()) return LayerRange{side, *first, *first};
    if (rest.front() != '-') return std::nullopt;
    rest.remove_prefix(1);
    const auto last = take_number(rest);
    if (!last || !rest.empty()) return std::nullopt;
    return LayerRange{side, *first, *last};
  }
  return std::nullopt;
}

bool in_layers(const std::string& name, const LayerRange& range) {
  const auto place = layer_of(name);
  return place && place->side == range.side && place->layer >= range.first && place->layer <= range.last;
}

bool matches(const std::string& pattern, const std::string& name) {
  if (pattern == "embeddings") return is_embedding(name);
  if (pattern == "encoder")
    return name.find("encoder.") == 0 || name.find(".encoder.") != std::string::npos ||
           name.ends_with(".shared.weight") || name == "shared.weight";
  if (pattern == "decoder") return name.find("decoder.") == 0 || name.find(".decoder.") != std::string::npos;
  if (const auto range = parse_layers(pattern)) return in_layers(name, *range);
  return ::fnmatch(pattern.c_str(), name.c_str(), 0) == 0;
}

/// `encoder.layers.3` of `model.encoder.layers.3.fc1.weight`.
std::string part_of(const std::string& name) {
  if (is_embedding(name)) return "embeddings";
  if (const auto place = layer_of(name)) return place->side + ".layers." + std::to_string(place->layer);
  if (name.find("lm_head") != std::string::npos) return "output table";
  return name.find("encoder") != std::string::npos ? "encoder, other" : "decoder, other";
}

}  // namespace

std::optional<LayerPlace> layer_of(const std::string& name) {
  if (is_relative_bias(name)) return std::nullopt;
  for (const std::string side : {"encoder", "decoder"}) {
    for (const char* layers : {".layers.", ".block."}) {
      const std::string marker = side + layers;
      const size_t place = name.find(marker);
      if (place == std::string::npos) continue;
      std::string_view rest = std::string_view(name).substr(place + marker.size());
      if (const auto layer = take_number(rest)) return LayerPlace{side, *layer};
    }
  }
  return std::nullopt;
}

void freeze(std::vector<ParameterSpec>& specs, const std::vector<std::string>& patterns) {
  for (const std::string& pattern : patterns) {
    bool found = false;
    for (ParameterSpec& spec : specs) {
      if (!matches(pattern, spec.name)) continue;
      spec.frozen = true;
      found = true;
    }
    if (!found) {
      throw core::UserError(
          "model.freeze: '" + pattern +
          "' matches no parameter; use embeddings, encoder, decoder, encoder.layers.0-5, or a name with * such as " +
          specs.front().name);
    }
  }
  if (std::all_of(specs.begin(), specs.end(), [](const ParameterSpec& spec) { return spec.frozen; })) {
    throw core::UserError("model.freeze: every parameter would be frozen; leave something to train");
  }
}

std::vector<FreezeRow> freeze_table(const ArenaLayout& layout) {
  std::vector<FreezeRow> rows;
  for (const ArenaEntry& entry : layout.entries()) {
    const std::string part = part_of(entry.name);
    auto row = std::find_if(rows.begin(), rows.end(), [&](const FreezeRow& r) { return r.part == part; });
    if (row == rows.end()) {
      rows.emplace_back().part = part;
      row = rows.end() - 1;
    }
    row->parameters += entry.numel;
    if (entry.frozen) row->frozen += entry.numel;
    if (entry.frozen && entry.in_trainable_range) row->masked += entry.numel;
    if (!entry.in_trainable_range) row->without_states.push_back(&entry);
  }
  return rows;
}

}  // namespace txtsum::model
