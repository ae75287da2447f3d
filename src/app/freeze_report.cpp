#include "app/freeze_report.h"

#include <algorithm>
#include <cstdio>
#include <utility>
#include <vector>

#include "txtsum/app/table.h"
#include "txtsum/metrics/figure.h"
#include "txtsum/model/freezing.h"

namespace txtsum::app {
namespace {

constexpr double kMib = 1024.0 * 1024.0;
constexpr const char* kFormula = "formula in docs/metrics.md";

std::string fixed(const char* format, double value) {
  char text[48];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

std::string mib(int64_t bytes) { return fixed("%.1f", static_cast<double>(bytes) / kMib); }

/// What freezing saves of a part, and of the whole.
train::StateBytes saved_of(const model::FreezeRow& row, const FreezeFacts& facts) {
  train::StateBytes bytes;
  for (const model::ArenaEntry* entry : row.without_states) {
    bytes += train::state_bytes(*entry, facts.optimizer, facts.types);
  }
  return bytes;
}

struct Whole {
  int64_t parameters = 0, frozen = 0, masked = 0;
  train::StateBytes saved, all;
};

Whole whole_of(const std::vector<model::FreezeRow>& rows, const FreezeFacts& facts) {
  Whole whole;
  for (const model::FreezeRow& row : rows) {
    whole.parameters += row.parameters;
    whole.frozen += row.frozen;
    whole.masked += row.masked;
    whole.saved += saved_of(row, facts);
  }
  for (const model::ArenaEntry& entry : facts.layout.entries()) {
    whole.all += train::state_bytes(entry, facts.optimizer, facts.types);
  }
  return whole;
}

core::Json flops_json(double flops) { return to_json(metrics::modelled(flops, "FLOP", kFormula)); }

/// What the passes that were left out would have taken, at the speed of those that filled the cache.
metrics::Figure seconds_left_out(const core::Json& cache, int64_t tokens) {
  const double encoded = cache.at("encoded_source_tokens").get<double>();
  if (encoded <= 0) {
    return metrics::missing("s", "the outputs were there already, so that no pass of the encoder was timed");
  }
  return metrics::modelled(cache.at("seconds").get<double>() / encoded * static_cast<double>(tokens), "s",
                           "seconds a token while the cache was filled, times the tokens trained on");
}

}  // namespace

std::string freeze_table(const FreezeFacts& facts) {
  const std::vector<model::FreezeRow> rows = model::freeze_table(facts.layout);
  const Whole whole = whole_of(rows, facts);
  if (whole.frozen == 0) return "";
  Table table({"part", "parameters", "frozen", "saves MiB", "note"},
              {Table::Align::kLeft, Table::Align::kRight, Table::Align::kRight, Table::Align::kRight});
  for (const model::FreezeRow& row : rows) {
    table.add_row(
        {row.part, with_separators(row.parameters), with_separators(row.frozen), mib(saved_of(row, facts).total()),
         row.masked > 0 ? with_separators(row.masked) + " keep gradient and state: their fused group learns" : ""});
  }
  const train::StateBytes& saved = whole.saved;
  table.add_row({"all", with_separators(whole.parameters), with_separators(whole.frozen), mib(saved.total()),
                 "gradients " + mib(saved.gradients) + ", fp32 masters " + mib(saved.masters) + ", moments " +
                     mib(saved.moments) + "; all learning: " + mib(whole.all.total())});
  std::string text = table.text();
  if (facts.ranks > 1) {
    text += "frozen: " + with_separators(train::elements_not_sent(facts.layout, facts.parallel, facts.ranks)) +
            " elements are not sent by each rank in an update of one micro-batch\n";
  }
  return text;
}

core::Json freeze_json(const FreezeFacts& facts) {
  const Whole whole = whole_of(model::freeze_table(facts.layout), facts);
  if (whole.frozen == 0) return nullptr;
  return {{"parameters", whole.parameters},
          {"frozen_parameters", whole.frozen},
          {"frozen_with_states", whole.masked},
          {"saved_bytes",
           {{"gradients", whole.saved.gradients},
            {"masters", whole.saved.masters},
            {"moments", whole.saved.moments},
            {"total", whole.saved.total()}}},
          {"bytes_if_all_learned", whole.all.total()},
          {"ranks", facts.ranks},
          {"elements_not_sent_an_update", train::elements_not_sent(facts.layout, facts.parallel, facts.ranks)},
          {"encoder_cache", nullptr}};
}

core::Json encoder_cache_json(const data::RowCache& file, const train::EncoderCacheFill& fill) {
  return {{"file", file.path()},
          {"bytes", file.shape().bytes()},
          {"examples", static_cast<int64_t>(file.shape().row_counts.size())},
          {"source_tokens", file.shape().rows()},
          {"encoded_examples", fill.examples},
          {"encoded_source_tokens", fill.source_tokens},
          {"seconds", fill.seconds}};
}

core::Json with_spared_work(core::Json freezing, const metrics::RunTotals& totals) {
  if (freezing.is_null()) return freezing;
  const metrics::Work& trained = totals.phases[static_cast<size_t>(metrics::Phase::kTrain)].work;
  freezing["training_flops"] = flops_json(trained.flops);
  freezing["backward_flops_not_done"] = flops_json(trained.spared_backward_flops);
  freezing["encoder_flops_not_done"] = flops_json(trained.spared_encoder_flops);
  core::Json& cache = freezing["encoder_cache"];
  if (cache.is_null()) return freezing;
  const metrics::Work& loaded = totals.phases[static_cast<size_t>(metrics::Phase::kLoad)].work;
  cache["flops_to_fill"] = flops_json(loaded.flops);
  cache["passes_not_done"] = trained.examples;
  cache["seconds_of_passes_not_done"] = to_json(seconds_left_out(cache, trained.source_tokens));
  return freezing;
}

std::string freeze_text(const core::Json& freezing) {
  if (freezing.is_null() || !freezing.contains("training_flops")) return "";
  const auto flops = [&](const char* key) { return freezing.at(key).at("value").get<double>(); };
  const double backward = flops("backward_flops_not_done"), encoder = flops("encoder_flops_not_done");
  const double all = flops("training_flops") + backward + encoder;
  const auto saved = freezing.at("saved_bytes").at("total").get<double>();
  std::string text = "freezing saved " + fixed("%.1f MiB", saved / kMib) + " of gradients and optimizer state (" +
                     fixed("%.1f %%", 100.0 * saved / freezing.at("bytes_if_all_learned").get<double>()) + ")";
  if (all > 0) {
    text += ", " + fixed("%.1f %%", 100.0 * backward / all) + " of the training's FLOPs in the backward pass";
    if (encoder > 0) text += " and " + fixed("%.1f %%", 100.0 * encoder / all) + " in the encoder's forward pass";
  }
  if (const core::Json& cache = freezing.at("encoder_cache"); !cache.is_null()) {
    text += "; " + with_separators(cache.at("passes_not_done").get<int64_t>()) +
            " passes of the encoder were read from " + fixed("%.1f MiB", cache.at("bytes").get<double>() / kMib);
    if (const core::Json& seconds = cache.at("seconds_of_passes_not_done").at("value"); !seconds.is_null()) {
      text += " (about " + fixed("%.1f s", seconds.get<double>()) + ", for " +
              fixed("%.1f s", cache.at("seconds").get<double>()) + " of filling it)";
    }
  }
  return text + "\n";
}

std::string encoder_cache_text(const data::RowCache& file) {
  const data::RowCacheShape& shape = file.shape();
  return "outputs of the encoder: " + with_separators(shape.rows()) + " tokens of " +
         with_separators(static_cast<int64_t>(shape.row_counts.size())) + " documents x " +
         with_separators(shape.row_bytes) + " bytes = " + mib(shape.bytes()) + " MiB in " + file.path();
}

std::string encoder_fill_text(const train::EncoderCacheFill& fill, int64_t examples) {
  if (fill.examples == 0) return "outputs of the encoder: all were there; the encoder does not run in training";
  return "outputs of the encoder: " + with_separators(fill.examples) + " of " + with_separators(examples) +
         " documents encoded in " + fixed("%.1f s", fill.seconds) + "; the encoder does not run in training";
}

}  // namespace txtsum::app
