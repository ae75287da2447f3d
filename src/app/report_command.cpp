#include <filesystem>

#include "app/command.h"
#include "app/report_page.h"
#include "app/run_folder.h"
#include "txtsum/core/error.h"
#include "txtsum/core/file.h"

namespace txtsum::app {
namespace {

struct ReportOptions {
  std::vector<std::string> runs;
  std::string output;
  bool overwrite = false;
};

int run_report(const ReportOptions& options) {
  if (options.runs.size() > kMostRunsOnPage) {
    throw core::UserError("a page shows at most " + std::to_string(kMostRunsOnPage) + " runs, not " +
                          std::to_string(options.runs.size()));
  }
  std::vector<FinishedRun> runs;
  for (const std::string& folder : options.runs) runs.push_back(read_finished_run(folder));
  const char* name = runs.size() == 1 ? kPageFile : kSeveralPageFile;
  const std::string output = options.output.empty() ? runs.front().folder + "/" + name : options.output;
  if (std::filesystem::exists(output) && !options.overwrite) {
    throw core::UserError(output +
                          " is there already: name another file with --output, or replace it with --overwrite");
  }
  core::write_file(output, report_page(runs));
  print(output + "\n");
  return 0;
}

}  // namespace

void add_report_command(CommandLine& line) {
  auto options = std::make_shared<ReportOptions>();
  CLI::App* command = add_command(
      line.program, "report",
      "Write one page of HTML on a run, or on several side by side: curves, scores, costs, examples.",
      worked_examples("txtsum report runs/quickstart",
                      "txtsum report runs/all runs/frozen_encoder runs/frozen_embeddings --output study.html"));
  command->add_option("RUN", options->runs, "Folders of runs or of evaluations.")->required();
  command->add_option("--output", options->output,
                      "File to write. Default: report.html in the run's folder; of several runs comparison.html in the "
                      "first one's.");
  command->add_flag("--overwrite", options->overwrite, "Replace the file.");
  command->callback([&line, options] { line.run = [options] { return run_report(*options); }; });
}

}  // namespace txtsum::app
