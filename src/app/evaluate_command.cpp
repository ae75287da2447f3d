#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <utility>

#include "app/command.h"
#include "app/experiment.h"
#include "app/rank_guard.h"
#include "app/run_folder.h"
#include "app/run_ledger.h"
#include "app/run_lock.h"
#include "app/run_report.h"
#include "app/split_evaluation.h"
#include "app/start_table.h"
#include "app/warnings.h"
#include "txtsum/config/dump.h"
#include "txtsum/config/field.h"
#include "txtsum/config/load.h"
#include "txtsum/core/error.h"
#include "txtsum/core/file.h"
#include "txtsum/core/log.h"

namespace txtsum::app {
namespace {

namespace fs = std::filesystem;

struct EvaluateOptions {
  std::string target;
  std::string model;
  std::string split = "test";
};

bool sets_output(const std::vector<std::string>& overrides) {
  return std::any_of(overrides.begin(), overrides.end(),
                     [](const std::string& text) { return text.starts_with("run.output="); });
}

/// The experiment, with the folder that this evaluation writes to and the model that it scores.
config::ExperimentConfig load_request(const EvaluateOptions& options, const std::vector<std::string>& overrides) {
  const bool is_run = fs::is_directory(options.target);
  const std::string file = is_run ? options.target + "/" + kConfigFile : options.target;
  if (!fs::exists(file)) {
    throw core::UserError(options.target + ": wanted a config file or a run's folder, found " +
                          (is_run ? "a folder without config.yaml" : "nothing there"));
  }
  config::ExperimentConfig config = config::load_experiment(file, overrides);
  const std::string run = is_run ? options.target : config.run.output;
  if (!options.model.empty()) {
    config.model.checkpoint = options.model;
  } else if (fs::exists(run + "/" + kModelFolder)) {
    config.model.checkpoint = run + "/" + kModelFolder;
  } else {
    throw core::UserError(run + " has no finished model: name the weights with --model (a Hub folder or id, a step's " +
                          "folder, a run's folder)");
  }
  if (!sets_output(overrides)) config.run.output = run + "/evaluate-" + options.split;
  return config;
}

void make_room(const config::ExperimentConfig& config) {
  if (fs::exists(config.run.output + "/" + kCheckpointsFolder)) {
    throw core::UserError(
        config.run.output +
        " holds a training, which an evaluation does not delete: take another folder (run.output=...)");
  }
  if (!fs::exists(config.run.output + "/" + kReportFile)) return;
  if (!config.run.overwrite) {
    throw core::UserError(config.run.output +
                          " holds results already: take another folder (run.output=...), or run.overwrite=true");
  }
  remove_run(config.run.output);
}

/// What an evaluation reads; the same on every rank.
struct EvaluationInputs {
  ModelFiles files;
  model::LoadedModel loaded;
  generate::ResolvedSettings generation;
  data::LoadedDataset data;

  SplitRequest request(const config::ExperimentConfig& config, Split split) const {
    return {config, files, *loaded.model, generation.settings, data.dataset, split};
  }
};

EvaluationInputs load_inputs(const config::ExperimentConfig& config, Split split, const ComputeDevice& device) {
  ModelFiles files = open_model_files(config.model.checkpoint);
  model::LoadedModel loaded = load_for_generation(files, config.train.precision, device.device);
  check_lengths(config.data, loaded.model->facts());
  generate::ResolvedSettings generation = resolve_generation(config.generation, files, loaded.model->facts());
  data::LoadedDataset data = load_split(config, split, *files.tokenizer);
  check_vocabulary(data.dataset.table().ids, loaded.model->facts(), files.folder.path);
  return {std::move(files), std::move(loaded), std::move(generation), std::move(data)};
}

/// Of several ranks the first one; the others follow.
class Evaluation {
 public:
  Evaluation(config::ExperimentConfig config, Split split, std::string command_line, const ComputeDevice& device,
             parallel::Communicator& ranks)
      : config_(std::move(config)),
        split_(split),
        command_line_(std::move(command_line)),
        ranks_(ranks),
        folder_(config_.run.output, config_.checkpoint.publish),
        device_(device),
        ledger_(start_ledger(config_.resources, device_, folder_.file(kAttemptsFolder), clock_)),
        threads_(set_threads(config_.run.threads)) {}

  void run() {
    core::Json environment = describe_environment(threads_, device_);
    core::write_file(folder_.file(kConfigFile), config::to_yaml(config_));
    core::write_file(folder_.file(kEnvironmentFile), core::to_pretty_text(environment));
    ReportParts parts{config_, "evaluate", command_line_, std::move(environment), {}, core::Json::object()};
    try {
      evaluate(parts);
      ledger_->finish("finished");
      write_report(folder_, parts, *ledger_, clock_);
    } catch (const core::StoppedBySignal& stopped) {
      ledger_->finish("stopped by signal " + std::to_string(stopped.exit_code() - 128));
      throw core::StoppedBySignal(std::string(stopped.what()) + "; the same command goes on from here",
                                  stopped.exit_code() - 128);
    } catch (const std::exception& error) {
      ledger_->fail(outcome_of(error));
      throw;
    }
    forget_summary_log(folder_);
    print(quality_text(parts.quality.at(split_name(split_))) + "\n" +
          footprint_text(config_.resources, folder_.file(kAttemptsFolder), *ledger_) +
          "report: " + folder_.file(kReportFile) + "\n");
  }

 private:
  void evaluate(ReportParts& parts) {
    std::optional<EvaluationInputs> inputs;
    load_as_rank(ranks_, [&] { inputs = load_inputs(config_, split_, device_); });
    const ModelFolder& folder = inputs->files.folder;
    print("weights: " + folder.path + (folder.revision.empty() ? "" : " (revision " + folder.revision + ")") + "\n");
    const data::DataReport report = data::make_data_report({{split_name(split_), &inputs->data.dataset}});
    parts.data = to_json(report);
    core::log_info("\n" + generation_table(inputs->generation.origins) + "\n" + data_table(report));
    const generate::GenerationSettings& settings = inputs->generation.settings;
    const model::ModelFacts& facts = inputs->loaded.model->facts();
    log_and_add(parts.warnings, generation_warnings(inputs->generation, inputs->files, facts));
    log_and_add(parts.warnings, data_warnings(report, config_.data, {split_name(split_)}, settings, facts));
    parts.quality[split_name(split_)] =
        evaluate_split(inputs->request(config_, split_), folder_, *ledger_, clock_, ranks_);
    log_and_add(parts.warnings, output_warnings(parts.quality, settings));
  }

  const core::Clock& clock_ = core::system_clock();
  config::ExperimentConfig config_;
  Split split_;
  std::string command_line_;
  parallel::Communicator& ranks_;
  RunFolder folder_;
  ComputeDevice device_;
  std::unique_ptr<metrics::Ledger> ledger_;
  int threads_;
};

void follow(const config::ExperimentConfig& config, Split split, const ComputeDevice& device,
            parallel::Communicator& ranks) {
  set_threads(config.run.threads);
  std::optional<EvaluationInputs> inputs;
  load_as_rank(ranks, [&] { inputs = load_inputs(config, split, device); });
  follow_evaluation(inputs->request(config, split), core::system_clock(), ranks);
}

int run_evaluate(const EvaluateOptions& options, const std::vector<std::string>& overrides,
                 const std::string& command_line) {
  const config::ExperimentConfig config = load_request(options, overrides);
  const Split split = options.split == "test" ? Split::kTest : Split::kValidation;
  const std::vector<metrics::IdlePower> idle = idle_power(config, core::system_clock());
  run_on_ranks(config, [&](parallel::Communicator& ranks, ComputeDevice& device) {
    device.idle = idle;
    count_devices(device, ranks);
    if (ranks.rank() > 0) return follow(config, split, device, ranks);
    std::optional<RunLock> lock;
    load_as_rank(ranks, [&] { lock.emplace(config.run.output); });
    make_room(config);
    Evaluation(config, split, command_line, device, ranks).run();
  });
  return 0;
}

}  // namespace

void add_evaluate_command(CommandLine& line) {
  auto options = std::make_shared<EvaluateOptions>();
  CLI::App* command =
      add_command(line.program, "evaluate", "Summarize a split and score it against its references.",
                  worked_examples("txtsum evaluate runs/quickstart --split validation",
                                  "txtsum evaluate configs/quickstart.yaml --model configs/models/txtsum-mini "
                                  "run.output=runs/before"));
  command->add_option("RUN|CONFIG", options->target, "Folder of a run, or an experiment in YAML.")->required();
  command->add_option("--model", options->model,
                      "Weights to score: Hub folder or id, step's or run's folder. Default: the run's finished model.");
  command->add_option("--split", options->split, "Which split of the data: test or validation.")
      ->check(CLI::IsMember({"test", "validation"}))
      ->capture_default_str();
  command->allow_extras();
  command->footer(
      "key=value arguments override the config. Results go to run.output where that is given, else to\n"
      "evaluate-SPLIT in the run's folder.\n\n" +
      command->get_footer());
  command->callback([&line, command, options] {
    line.run = [&line, command, options] { return run_evaluate(*options, command->remaining(), line.text); };
  });
}

}  // namespace txtsum::app
