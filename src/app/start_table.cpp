#include "app/start_table.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "txtsum/app/table.h"
#include "txtsum/config/field.h"
#include "txtsum/metrics/carbon.h"
#include "txtsum/metrics/cost.h"

namespace txtsum::app {
namespace {

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.6g", value);
  return text;
}

std::string count(int64_t value) { return with_separators(value); }

std::string batch_text(const StartFacts& start) {
  const config::TrainConfig& train = start.config.train;
  std::string text = train.batch_size ? count(*train.batch_size) + " examples"
                                      : "at most " + count(train.batch_tokens.value_or(0)) + " tokens";
  text.append(" = ").append(start.ranks == 1 ? "1 rank" : count(start.ranks) + " ranks");
  text.append(" x ").append(start.one_micro_batch ? "1 micro-batch" : "as many micro-batches as it takes");
  return text.append(" of at most ").append(count(train.micro_batch_tokens)).append(" tokens");
}

std::string duration_text(const train::RunFacts& facts) {
  std::string text;
  if (facts.total_updates) text = count(*facts.total_updates) + " updates";
  if (facts.max_minutes) {
    text.append(text.empty() ? "" : " or ").append(number(*facts.max_minutes)).append(" minutes");
    if (facts.total_updates) text.append(", whichever ends first");
  }
  return text.append(" (").append(count(facts.updates_in_epoch)).append(" an epoch)");
}

std::string warmup_text(const train::RunFacts& facts) {
  if (facts.warmup_updates) return count(*facts.warmup_updates) + " updates";
  return number(facts.warmup_share * 100) + " % of the training";
}

std::string offload_text(const config::ExperimentConfig& config) {
  const std::string text(config::name_of(config.parallel.offload));
  if (config.run.device == config::Device::kCpu) return text + ", which saves nothing: a CPU's memory is host memory";
  return text + ": in pinned host memory, updates by the CPU";
}

void add_meters(Table& table, const metrics::AttemptRecord& attempt) {
  for (const metrics::MeterInfo& meter : attempt.meters) {
    table.add_row({"energy, " + std::string(metrics::energy_component_name(meter.component)),
                   std::string(metrics::provenance_name(meter.provenance)) + ": " + meter.source});
  }
  for (const metrics::MissingMeter& meter : attempt.missing) {
    table.add_row(
        {"energy, " + std::string(metrics::energy_component_name(meter.component)), "missing: " + meter.reason});
  }
}

void add_validation(Table& table, const config::ExperimentConfig& config) {
  if (!config.data.has_validation()) {
    table.add_row({"validation", "none (data.validation and data.validation_share are not set)"});
    return;
  }
  const config::ValidationConfig& section = config.validation;
  std::string text = section.every_updates ? "every " + count(*section.every_updates) + " updates"
                                           : "every " + number(section.every_epochs.value_or(1)) + " epochs";
  text.append(section.loss ? ", loss" : "").append(section.generate ? ", ROUGE of generated summaries" : "");
  if (section.generate && section.max_generated_examples) {
    text.append(" of ").append(count(*section.max_generated_examples)).append(" examples");
  }
  table.add_row({"validation", text + (section.on_start ? ", also before the first update" : "")});
}

}  // namespace

std::string start_table(const StartFacts& start, const train::RunFacts& facts) {
  const config::ExperimentConfig& config = start.config;
  Table table;
  table.add_section("run");
  table.add_row({"name", config.run.name});
  table.add_row({"folder", config.run.output});
  table.add_row({"seed", std::to_string(config.run.seed)});
  table.add_row({"device", std::string(config::name_of(config.run.device)) + ", " + std::to_string(start.threads) +
                               " threads, " + std::string(config::name_of(config.train.precision))});
  table.add_row({"start", facts.resumed_from.empty()
                              ? "anew"
                              : "goes on from " + facts.resumed_from + " with update " + count(facts.first_update)});
  table.add_section("model");
  table.add_row({"folder", start.files.folder.path});
  if (!start.files.folder.revision.empty()) table.add_row({"revision", start.files.folder.revision});
  table.add_row({"family", start.model.facts().family +
                               (config.model.init == config::ModelInit::kRandom ? ", random weights" : "")});
  table.add_row({"parameters", count(facts.parameters) + ", " + count(facts.trainable_parameters) + " of them learn"});
  table.add_section("training");
  table.add_row({"examples", count(facts.examples)});
  table.add_row({"batch", batch_text(start)});
  table.add_row({"length", duration_text(facts)});
  table.add_row({"warm-up", warmup_text(facts)});
  table.add_row(
      {"optimizer", std::string(config::name_of(config.optimizer.name)) + ", learning rate " +
                        (config.optimizer.learning_rate ? number(*config.optimizer.learning_rate) : "its own") + ", " +
                        std::string(config::name_of(config.schedule.name)) + ", weight decay " +
                        number(config.optimizer.weight_decay) + ", clipped at norm " + number(config.train.clip_norm)});
  table.add_row(
      {"loss", "label smoothing " + number(config.train.label_smoothing) + ", gradients in " + facts.gradient_type});
  table.add_row({"recompute", std::string(config::name_of(config.train.recompute))});
  if (config.parallel.offload != config::Offload::kNone) table.add_row({"offload", offload_text(config)});
  add_validation(table, config);
  table.add_row({"finished model", config.checkpoint.best_metric == config::BestMetric::kNone
                                       ? "the last one"
                                       : "best by " + std::string(config::name_of(config.checkpoint.best_metric))});
  table.add_section("resources");
  add_meters(table, start.attempt);
  return table.text();
}

std::string generation_table(const std::vector<generate::SettingOrigin>& origins) {
  Table table({"generation", "value", "said by"});
  for (const generate::SettingOrigin& origin : origins) table.add_row({origin.name, origin.value, origin.origin});
  return table.text();
}

namespace {

/// One line on what the usual limits would cut of long sources; empty where they are short.
std::string limits_line(const data::SplitReport& split) {
  constexpr int64_t kFirstShown = 512;
  std::string text;
  for (const data::LimitCut& cut : split.source.limits) {
    if (cut.limit < kFirstShown) continue;
    char kept[32];
    std::snprintf(kept, sizeof(kept), " (%.0f %%)",
                  100.0 * static_cast<double>(cut.kept_tokens) / static_cast<double>(split.source.tokens));
    text.append(text.empty() ? split.name + " sources that a limit would cut (tokens that stay): " : ", ");
    text.append("at ").append(count(cut.limit)).append(" ").append(count(cut.truncated)).append(kept);
  }
  return text.empty() ? text : text + "\n";
}

}  // namespace

std::string data_table(const data::DataReport& report) {
  Table table(
      {"split", "rows", "examples", "empty", "twice", "tokens", "mean", "p50", "p95", "max", "cut", "tokens cut"},
      {Table::Align::kLeft, Table::Align::kRight, Table::Align::kRight, Table::Align::kRight, Table::Align::kRight,
       Table::Align::kLeft, Table::Align::kRight, Table::Align::kRight, Table::Align::kRight, Table::Align::kRight,
       Table::Align::kRight, Table::Align::kRight});
  for (const data::SplitReport& split : report.splits) {
    const auto side = [&](const char* name, const data::LengthSummary& lengths, std::vector<std::string> head) {
      char mean[32];
      std::snprintf(mean, sizeof(mean), "%.1f", lengths.mean);
      head.insert(head.end(), {name, mean, count(lengths.p50), count(lengths.p95), count(lengths.max),
                               count(lengths.truncated), count(lengths.truncated_tokens)});
      table.add_row(std::move(head));
    };
    side("source", split.source,
         {split.name, count(split.rows_read), count(split.examples), count(split.empty_source + split.empty_target),
          count(split.duplicate_sources)});
    side("target", split.target, {"", "", "", "", ""});
  }
  std::string text = table.text();
  for (const data::SplitReport& split : report.splits) text += limits_line(split);
  return text;
}

core::Json to_json(const data::DataReport& report) {
  const auto lengths_json = [](const data::LengthSummary& lengths) {
    core::Json limits = core::Json::array();
    for (const data::LimitCut& cut : lengths.limits) {
      limits.push_back({{"limit", cut.limit}, {"truncated", cut.truncated}, {"kept_tokens", cut.kept_tokens}});
    }
    return core::Json{{"min", lengths.min},
                      {"mean", lengths.mean},
                      {"p50", lengths.p50},
                      {"p90", lengths.p90},
                      {"p95", lengths.p95},
                      {"p99", lengths.p99},
                      {"max", lengths.max},
                      {"tokens", lengths.tokens},
                      {"truncated", lengths.truncated},
                      {"truncated_tokens", lengths.truncated_tokens},
                      {"limits", limits}};
  };
  core::Json json{{"splits", core::Json::array()}, {"leaks", core::Json::array()}};
  for (const data::SplitReport& split : report.splits) {
    json["splits"].push_back({{"name", split.name},
                              {"rows_read", split.rows_read},
                              {"examples", split.examples},
                              {"empty_source", split.empty_source},
                              {"empty_target", split.empty_target},
                              {"duplicate_sources", split.duplicate_sources},
                              {"source_tokens", lengths_json(split.source)},
                              {"target_tokens", lengths_json(split.target)}});
  }
  for (const data::LeakReport& leak : report.leaks) {
    json["leaks"].push_back({{"from", leak.from}, {"into", leak.into}, {"examples", leak.examples}});
  }
  return json;
}

}  // namespace txtsum::app
