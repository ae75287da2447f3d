#include "txtsum/config/dump.h"
#include "txtsum/config/experiment_config.h"
#include "txtsum/config/load.h"
#include "untrusted.h"

using namespace txtsum;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const tests::InputFile file("experiment.yaml"), again("experiment.yaml");
  file.write(tests::as_text(data, size));
  tests::accepts(file.path(), [&] {
    const config::ExperimentConfig config = config::load_experiment(file.path());
    // What a run writes into its folder is the same config.
    again.write(config::to_yaml(config));
    if (!config::diff(config, config::load_experiment(again.path()), config::DiffScope::kAll).empty()) {
      tests::InputFile::die("the config that was written is another:\n" + config::to_yaml(config));
    }
  });
  return 0;
}
