#include "app/resource_plan_text.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "txtsum/app/table.h"
#include "txtsum/config/field.h"

namespace txtsum::app {
namespace {

constexpr double kMib = 1024.0 * 1024.0, kGib = 1024.0 * kMib;
constexpr double kTera = 1e12, kPeta = 1e15;

using Align = Table::Align;

std::string fixed(double value, int digits) {
  char text[48];
  std::snprintf(text, sizeof(text), "%.*f", digits, value);
  return text;
}

std::string short_number(double value) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.6g", value);
  return text;
}

/// Three digits that count, without an exponent.
std::string rounded(double value) {
  if (value == 0) return "0";
  const int whole = static_cast<int>(std::floor(std::log10(std::abs(value))));
  return fixed(value, std::clamp(2 - whole, 0, 6));
}

/// A unit that a whole table takes.
struct ByteUnit {
  const char* name;
  double bytes;

  static ByteUnit for_largest(int64_t largest) {
    return static_cast<double>(largest) < 0.5 * kGib ? ByteUnit{"MiB", kMib} : ByteUnit{"GiB", kGib};
  }
  std::string cell(int64_t value) const { return value == 0 ? "-" : fixed(static_cast<double>(value) / bytes, 2); }
};

/// A line of the list of assumptions, broken for the terminal.
std::string wrapped(const std::string& line) {
  constexpr size_t kColumns = 100;
  std::string text;
  for (size_t begin = 0; begin < line.size();) {
    size_t end = begin + kColumns - (begin > 0 ? 4 : 2);
    if (end >= line.size()) {
      end = line.size();
    } else {
      const size_t blank = line.rfind(' ', end);
      if (blank != std::string::npos && blank > begin) end = blank;
    }
    text += std::string(begin > 0 ? 4 : 2, ' ') + line.substr(begin, end - begin) + "\n";
    begin = end < line.size() && line[end] == ' ' ? end + 1 : end;
  }
  return text;
}

std::string figure_cell(const metrics::Figure& figure) { return figure.known() ? rounded(*figure.value) : "missing"; }

std::string several(int64_t count, const std::string& one) {
  return with_separators(count) + " " + one + (count == 1 ? "" : "s");
}

std::string batch_text(const config::TrainConfig& train) {
  return train.batch_size ? several(*train.batch_size, "example")
                          : "at most " + several(train.batch_tokens.value_or(0), "token");
}

std::string head(const ResourcePlan& plan, const config::ExperimentConfig& config) {
  Table table;
  table.add_section("model");
  table.add_row({"folder", plan.model_folder});
  table.add_row({"family", plan.outline.facts.family +
                               (config.model.init == config::ModelInit::kRandom ? ", random weights" : "")});
  table.add_row({"parameters", with_separators(plan.parameters) + ", " +
                                   (plan.parameters == plan.trainable_parameters
                                        ? "all of them learn"
                                        : with_separators(plan.trainable_parameters) + " of them learn")});
  table.add_section("training");
  table.add_row({"examples", with_separators(plan.examples) + " with " + with_separators(plan.source_tokens) + " + " +
                                 several(plan.target_tokens, "token")});
  std::string updates = several(plan.updates.updates_in_epoch, "update") + " an epoch";
  if (plan.updates.total_updates) {
    updates +=
        ", " + with_separators(*plan.updates.total_updates) + " in " + short_number(plan.updates.epochs) + " epochs";
  }
  if (config.train.max_minutes) updates += ", " + short_number(*config.train.max_minutes) + " minutes at most";
  table.add_row({"length", updates});
  for (const PlannedRanks& ranks : plan.ranks) {
    table.add_row({several(ranks.ranks, "rank"),
                   batch_text(config.train) + " an update, each rank's in " +
                       (ranks.batches.in_update == 1.0 ? "one micro-batch"
                                                       : rounded(ranks.batches.in_update) + " micro-batches") +
                       ", the largest of " + with_separators(ranks.tokens[0].source) + " + " +
                       several(ranks.tokens[0].target, "token")});
  }
  const double flops = plan.epoch_flops.total() * plan.updates.epochs;
  if (flops > 0)
    table.add_row({"work", flops < kPeta ? rounded(flops / kTera) + " TFLOP" : rounded(flops / kPeta) + " PFLOP"});
  return table.text();
}

/// Whether a setting goes into a device's memory: with which of kRecomputes.
std::string fit_cell(const PlannedDevice& device, const PlannedRanks& ranks, const PlannedStates& states,
                     const std::string& precision) {
  if (!device.computes) return "no " + precision;
  for (size_t i = 0; i < kRecomputes.size(); ++i) {
    if (!fits(device, ranks.peak(states, i), ranks.ranks)) continue;
    return kRecomputes[i] == config::Recompute::kNone ? "yes" : "blocks";
  }
  return "no";
}

constexpr size_t kTerminalColumns = 100;

/// The states of every setting, what a rank takes in all, and which cards have room; without `unit` the last alone.
Table settings_table(const ResourcePlan& plan, const PlannedRanks& ranks, const ByteUnit* unit, bool with_fits,
                     const std::string& precision) {
  std::vector<std::string> headings{"stage"};
  if (unit != nullptr) {
    headings.insert(headings.end(),
                    {"weights", "gradients", "masters", "moments", "slots", "states", "host", "none", "blocks"});
  }
  std::vector<const PlannedDevice*> known;
  for (const PlannedDevice& device : plan.devices) {
    if (!with_fits || !device.memory_bytes) continue;
    known.push_back(&device);
    headings.push_back(device.name);
  }
  std::vector<Align> aligned(headings.size(), Align::kRight);
  aligned.front() = Align::kLeft;
  Table table(headings, aligned);
  const PlannedStates* before = nullptr;
  for (const PlannedStates& states : ranks.states) {
    if (before == nullptr || before->offload != states.offload) {
      table.add_section("parallel.offload=" + std::string(config::name_of(states.offload)));
    }
    before = &states;
    const train::RankStates& bytes = states.bytes;
    std::vector<std::string> row{std::to_string(states.stage)};
    if (unit != nullptr) {
      for (const int64_t value : {bytes.weights, bytes.gradients, bytes.masters, bytes.moments, bytes.slots(),
                                  bytes.device(), bytes.host, ranks.peak(states, 0), ranks.peak(states, 1)}) {
        row.push_back(unit->cell(value));
      }
    }
    for (const PlannedDevice* device : known) row.push_back(fit_cell(*device, ranks, states, precision));
    table.add_row(std::move(row));
  }
  return table;
}

size_t widest_line(const std::string& text) {
  size_t widest = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    widest = std::max(widest, display_width(std::string_view(text).substr(begin, end - begin)));
    begin = end + 1;
  }
  return widest;
}

std::string memory_table(const ResourcePlan& plan, const PlannedRanks& ranks, const std::string& precision) {
  int64_t largest = 0;
  for (const PlannedStates& states : ranks.states) largest = std::max(largest, ranks.peak(states, 0));
  const ByteUnit unit = ByteUnit::for_largest(largest);
  const std::string with_fits = settings_table(plan, ranks, &unit, /*with_fits=*/true, precision).text();
  const bool too_wide = widest_line(with_fits) > kTerminalColumns;
  std::string text = std::string(unit.name) + " of each of " + several(ranks.ranks, "rank") + ", " + precision +
                     ", gradients in " + precision_name(plan.gradients) +
                     "; all in all with train.recompute=none or blocks\n";
  text += too_wide ? settings_table(plan, ranks, &unit, /*with_fits=*/false, precision).text() : with_fits;
  for (size_t i = 0; i < kRecomputes.size(); ++i) {
    const model::PassBytes& pass = ranks.passes[i];
    text += "activations, train.recompute=" + std::string(config::name_of(kRecomputes[i])) + ": " +
            unit.cell(pass.peak) + " at most: " + unit.cell(pass.kept) + " kept for the backward pass, logits " +
            unit.cell(pass.logits) + "\n";
  }
  if (too_wide) text += "fits\n" + settings_table(plan, ranks, nullptr, /*with_fits=*/true, precision).text();
  return text;
}

std::string runs_table(const ResourcePlan& plan, const config::ExperimentConfig& config) {
  Table table({"device", "ranks", "recompute", "fits", "s/update", "time", "kWh", "g CO2e", "USD"},
              {Align::kLeft, Align::kRight, Align::kLeft, Align::kLeft, Align::kRight, Align::kRight, Align::kRight,
               Align::kRight, Align::kRight});
  for (const PlannedRun& run : plan.runs) {
    const PlannedDevice& device = plan.devices[run.device];
    const std::string fits = !device.computes       ? "no " + std::string(config::name_of(config.train.precision))
                             : !device.memory_bytes ? "?"
                                                    : (run.fits ? "yes" : "no");
    std::string grams = figure_cell(run.carbon.low_grams);
    const std::string high = figure_cell(run.carbon.high_grams);
    if (high != grams) grams += " to " + high;
    table.add_row({device.name, std::to_string(plan.ranks[run.ranks].ranks),
                   std::string(config::name_of(kRecomputes[run.recompute])), fits, figure_cell(run.update_seconds),
                   run.seconds.known() ? format_duration(*run.seconds.value) : "missing", figure_cell(run.energy_kwh),
                   grams, figure_cell(run.usd)});
  }
  return "the training in stage " + std::to_string(config.parallel.zero_stage) +
         ", parallel.offload=" + std::string(config::name_of(config.parallel.offload)) + "\n" + table.text();
}

void add_once(std::vector<std::string>& lines, const std::string& line) {
  if (!line.empty() && std::find(lines.begin(), lines.end(), line) == lines.end()) lines.push_back(line);
}

std::string origin(const metrics::Figure& figure) {
  return figure.source + (figure.year ? ", " + std::to_string(*figure.year) : "");
}

}  // namespace

const char* precision_name(at::ScalarType type) {
  return type == at::kFloat ? "fp32" : type == at::kBFloat16 ? "bf16" : "fp16";
}

std::vector<std::string> plan_assumptions(const ResourcePlan& plan) {
  std::vector<std::string> lines;
  const bool on_gpu = plan.devices.front().on_gpu;
  add_once(lines, on_gpu ? "memory: fused attention (compute capability 8.0 on); the allocator's rounding is left out"
                         : "memory: of tensors; the program itself and its tokens are left out");
  if (plan.outline.facts.relative_bias && plan.outline.facts.drops_probabilities) {
    add_once(lines,
             "memory: attention that drops probabilities and adds biases goes by sequences; the probabilities of one "
             "are left out (model.attention_dropout=0 takes the fused kernel)");
  }
  for (const PlannedDevice& device : plan.devices) {
    if (!device.memory_bytes) continue;
    add_once(lines,
             device.name + ": " + fixed(static_cast<double>(*device.memory_bytes) / kGib, 1) + " GiB" +
                 (on_gpu ? ", of which " + ByteUnit::for_largest(kReservedDeviceBytes).cell(kReservedDeviceBytes) +
                               " are held back for CUDA, libraries and rounding"
                         : ", which all ranks share"));
  }
  if (on_gpu) {
    add_once(lines, "time: products at " + short_number(100 * metrics::kProductShare) +
                        " % of the peak, activations moved " + short_number(metrics::kActivationPasses) +
                        " times, states at " + short_number(100 * metrics::kStateShare) + " % of the memory's rate, " +
                        short_number(1000 * metrics::kPassSeconds) + " ms a pass");
    add_once(lines, "time: ranks on one host that exchange " + short_number(metrics::kLinkBytesPerSecond / 1e9) +
                        " GB/s, nothing of it hidden; found on H100 and H200");
  }
  if (plan.runs.front().work.host_bytes > 0) {
    add_once(lines, "time: offloaded updates of all ranks on one host, at " +
                        short_number(100 * metrics::kHostStateShare) +
                        " % of resources.host_gb_per_second; a GPU that waits for them draws " +
                        short_number(100 * metrics::kWaitingPower) + " % of its power, the CPU's is left out" +
                        (plan.runs.front().work.goes_along ? "; along with the last backward pass" : ""));
  }
  if (!on_gpu && plan.devices.front().peak.known()) {
    add_once(lines, "time: products at the peak that is stated take " + short_number(100 * metrics::kHostProductShare) +
                        " % of it");
  }
  add_once(lines, "time, energy, carbon, cost: of updates alone, without loading, validation and saving");
  for (const PlannedDevice& device : plan.devices) {
    add_once(lines, "peak of " + device.name + ": " +
                        (device.peak.known() ? rounded(*device.peak.value) + " TFLOP/s (" + origin(device.peak) + ")"
                                             : "missing: " + device.peak.note));
    add_once(lines,
             "power of " + device.name + ": " +
                 (device.watts.known() ? rounded(*device.watts.value) + " W at work (" + origin(device.watts) + ")"
                                       : "missing: " + device.watts.note));
  }
  for (const PlannedRun& run : plan.runs) {
    if (!run.update_seconds.known()) add_once(lines, "time: missing: " + run.update_seconds.note);
    if (!run.seconds.known()) continue;
    const metrics::Figure &grams = run.carbon.low_grams, &usd = run.usd;
    add_once(lines, grams.known() ? "carbon: " + origin(grams) : "carbon: missing: " + grams.note);
    add_once(lines, usd.known() ? "cost: one machine for all ranks, " + origin(usd) : "cost: missing: " + usd.note);
  }
  return lines;
}

std::string plan_text(const ResourcePlan& plan, const config::ExperimentConfig& config) {
  std::string text = head(plan, config) + "\n";
  for (const PlannedRanks& ranks : plan.ranks)
    text += memory_table(plan, ranks, std::string(config::name_of(config.train.precision))) + "\n";
  text += runs_table(plan, config) + "\nassumptions\n";
  for (const std::string& line : plan_assumptions(plan)) text += wrapped(line);
  return text;
}

}  // namespace txtsum::app
