#include <filesystem>

#include "app/command.h"
#include "txtsum/app/table.h"
#include "txtsum/config/dump.h"
#include "txtsum/config/experiment_config.h"
#include "txtsum/config/load.h"
#include "txtsum/config/reference.h"
#include "txtsum/config/shipped.h"
#include "txtsum/core/error.h"
#include "txtsum/core/file.h"
#include "txtsum/core/log.h"

namespace txtsum::app {
namespace {

namespace fs = std::filesystem;

struct ConfigOptions {
  std::string name;
  std::string folder = "configs";
  std::string docs;
  bool check = false;
};

int run_list() {
  Table table;
  for (const config::ShippedConfig& shipped : config::shipped_configs()) {
    if (!config::is_fragment(shipped)) table.add_row({std::string(shipped.name), std::string(shipped.title)});
  }
  print(table.text());
  return 0;
}

int run_show(const ConfigOptions& options, const std::vector<std::string>& overrides) {
  if (fs::is_regular_file(options.name)) {
    print(config::to_yaml(config::load_experiment(options.name, overrides)));
    return 0;
  }
  if (!overrides.empty()) {
    throw core::UserError(options.name + ": overrides need a config file; `txtsum config copy " + options.name +
                          "` writes one");
  }
  print(config::find_shipped_config(options.name).text);
  return 0;
}

int run_copy(const ConfigOptions& options) {
  for (const std::string& path :
       config::copy_shipped_config(config::find_shipped_config(options.name), options.folder)) {
    core::log_info("wrote " + path);
  }
  return 0;
}

int run_docs(const ConfigOptions& options) {
  const std::pair<const char*, std::string> pages[] = {{"config_reference.md", config::config_reference_markdown()},
                                                       {"from_transformers.md", config::from_transformers_markdown()}};
  if (options.docs.empty()) {
    print(pages[0].second);
    return 0;
  }
  for (const auto& [name, text] : pages) {
    const std::string path = options.docs + "/" + name;
    if (!options.check) {
      core::write_file(path, text);
    } else if (!fs::exists(path) || core::read_file(path) != text) {
      throw core::DataError(path + " is not what this program would write: txtsum config docs --output " +
                            options.docs);
    }
  }
  return 0;
}

}  // namespace

void add_config_command(CommandLine& line) {
  auto options = std::make_shared<ConfigOptions>();
  CLI::App* command = add_command(line.program, "config", "The experiments that come with the program, and every key.",
                                  worked_examples("txtsum config list", "txtsum config copy bart_base_samsum configs"));
  command->require_subcommand(1);

  CLI::App* list = add_command(*command, "list", "List the shipped experiments.",
                               worked_examples("txtsum config list", "txtsum config list | grep samsum"));
  list->callback([&line] { line.run = run_list; });

  CLI::App* show =
      add_command(*command, "show", "Print a shipped experiment, or a config file with everything resolved.",
                  worked_examples("txtsum config show bart_base_samsum",
                                  "txtsum config show configs/quickstart.yaml train.max_minutes=2"));
  show->add_option("NAME|FILE", options->name, "Name of a shipped experiment, or a config file.")->required();
  show->allow_extras();
  show->callback(
      [&line, show, options] { line.run = [show, options] { return run_show(*options, show->remaining()); }; });

  CLI::App* copy =
      add_command(*command, "copy", "Write a shipped experiment, with the fragments that it includes.",
                  worked_examples("txtsum config copy bart_base_samsum", "txtsum config copy quickstart my"));
  copy->add_option("NAME", options->name, "Name of a shipped experiment.")->required();
  copy->add_option("FOLDER", options->folder, "Where to.")->capture_default_str();
  copy->callback([&line, options] { line.run = [options] { return run_copy(*options); }; });

  CLI::App* docs =
      add_command(*command, "docs", "Print the reference of every key.",
                  worked_examples("txtsum config docs | less", "txtsum config docs --output docs --check"));
  CLI::Option* output =
      docs->add_option("--output", options->docs, "Folder for config_reference.md and from_transformers.md instead.");
  docs->add_flag("--check", options->check, "Write nothing; fail where the files are not up to date.")->needs(output);
  docs->callback([&line, options] { line.run = [options] { return run_docs(*options); }; });
}

}  // namespace txtsum::app
