#include <filesystem>

#include "app/command.h"
#include "app/experiment.h"
#include "app/run_ledger.h"
#include "app/warnings.h"
#include "txtsum/app/table.h"
#include "txtsum/config/load.h"
#include "txtsum/core/error.h"
#include "txtsum/core/log.h"
#include "txtsum/data/record_reader.h"
#include "txtsum/metrics/carbon.h"
#include "txtsum/metrics/cost.h"
#include "txtsum/train/encoder_cache.h"

namespace txtsum::app {
namespace {

/// Runs checks that do not depend on each other, so that one call finds every problem.
class Checks {
 public:
  /// `check` returns what was found.
  template <typename Check>
  void run(const std::string& what, const Check& check) {
    try {
      table_.add_row({what, check()});
    } catch (const core::Error& error) {
      core::log_error(what + ": " + error.what());
      if (exit_code_ == 0) exit_code_ = error.exit_code();
    }
  }
  std::string text() const { return table_.text(); }
  int exit_code() const { return exit_code_; }

 private:
  Table table_;
  int exit_code_ = 0;
};

std::string check_file(const std::string& path, const std::string& split, const config::DataConfig& section) {
  data::ColumnRequest request;
  request.source = section.source_column;
  request.target = section.summary_column;
  request.id = section.id_column;
  data::RecordReader reader(path, request, split);
  data::Record record;
  reader.next(record);
  return reader.columns().source + " -> " + reader.columns().target +
         (reader.columns().found_by_name ? " (columns found by their names)" : "");
}

std::string check_model(const config::ExperimentConfig& config) {
  const bool weights = config.model.init == config::ModelInit::kPretrained;
  const ModelFiles files = open_model_files(config.model.checkpoint, {.weights = weights, .tokenizer = true});
  const model::LoadedModel loaded = load_for_training(files, config, at::kCPU);
  check_lengths(config.data, loaded.model->facts());
  if (config.train.cache_encoder) train::check_encoder_is_fixed(*loaded.model);
  const model::ModelFacts& facts = loaded.model->facts();
  Warnings warnings;
  log_and_add(warnings, generation_warnings(resolve_generation(config.generation, files, facts), files, facts));
  return files.folder.path + ": " + facts.family + ", " +
         with_separators(loaded.model->arena().layout().total_numel()) + " parameters with their padding";
}

int run_check(const std::string& path, const std::vector<std::string>& overrides) {
  const config::ExperimentConfig config = config::load_experiment(path, overrides);
  Checks checks;
  checks.run("config", [&] { return path; });
  checks.run("model", [&] { return check_model(config); });
  for (const Split split : {Split::kTrain, Split::kValidation, Split::kTest}) {
    const std::vector<std::string>& files = split == Split::kTrain        ? config.data.train
                                            : split == Split::kValidation ? config.data.validation
                                                                          : config.data.test;
    for (const std::string& file : files) {
      std::error_code ignored;
      const bool is_folder = std::filesystem::is_directory(file, ignored);
      checks.run(is_folder ? file + " (" + split_name(split) + ")" : file,
                 [&] { return check_file(file, split_name(split), config.data); });
    }
  }
  const metrics::Figure price = metrics::find_price(cost_options(config.resources));
  checks.run("price", [&] { return price.known() ? "known: " + price.source : "missing: " + price.note; });
  const metrics::CarbonIntensity carbon = metrics::find_carbon_intensity(carbon_options(config.resources));
  checks.run("carbon", [&] { return carbon.factors.empty() ? "missing: " + carbon.problem : "known"; });
  print(checks.text());
  return checks.exit_code();
}

}  // namespace

void add_check_command(CommandLine& line) {
  auto path = std::make_shared<std::string>();
  CLI::App* command =
      add_command(line.program, "check", "Check an experiment without running it: keys, model, data, settings.",
                  worked_examples("txtsum check configs/quickstart.yaml",
                                  "txtsum check configs/bart_base_samsum.yaml model.checkpoint=facebook/bart-base"));
  command->add_option("CONFIG", *path, "Experiment in YAML.")->required()->check(CLI::ExistingFile);
  command->allow_extras();
  command->callback(
      [&line, command, path] { line.run = [command, path] { return run_check(*path, command->remaining()); }; });
}

}  // namespace txtsum::app
