#include "txtsum/config/shipped.h"

#include <gmock/gmock.h>

#include <filesystem>

#include "config_files.h"

namespace txtsum::config {
namespace {

using testing::HasSubstr;

TEST(ShippedConfigs, EveryFileOfConfigsIsValidAndBuiltIn) {
  const std::filesystem::path root = std::filesystem::path(TXTSUM_SOURCE_DIR) / "configs";
  int count = 0;
  for (const char* folder : {"", "base", "studies", "smoke"}) {
    for (const auto& entry : std::filesystem::directory_iterator(root / folder)) {
      if (entry.path().extension() != ".yaml") continue;
      ++count;
      const ShippedConfig& config = find_shipped_config(entry.path().lexically_relative(root).string());
      EXPECT_EQ(config.text, core::read_file(entry.path().string())) << entry.path();
      EXPECT_FALSE(config.title.empty()) << entry.path() << " starts with a comment that says what it is";
      if (is_fragment(config)) continue;
      EXPECT_NO_THROW(load_experiment(entry.path().string())) << entry.path();
    }
  }
  EXPECT_EQ(static_cast<size_t>(count), shipped_configs().size());
}

TEST(ShippedConfigs, ExperimentsSayTheirCommand) {
  for (const ShippedConfig& config : shipped_configs()) {
    if (is_fragment(config)) continue;
    const std::string command = "txtsum train configs/" + std::string(config.name) + ".yaml";
    EXPECT_THAT(std::string(config.text.substr(0, config.text.find("\n\n"))), HasSubstr(command));
  }
}

TEST(ShippedConfigs, FragmentsAloneLackOnlyRequiredKeys) {
  for (const ShippedConfig& config : shipped_configs()) {
    if (!is_fragment(config)) continue;
    ConfigFiles files;
    const std::string path = files.write("base.yaml", std::string(config.text));
    EXPECT_NO_THROW(load_experiment(path, {"model.checkpoint=m", "data.train=a.csv"})) << config.name;
  }
}

TEST(FindShippedConfig, SuggestsTheClosest) {
  EXPECT_EQ(find_shipped_config("configs/quickstart.yaml").name, "quickstart");
  try {
    find_shipped_config("bart_base_samsun");
    FAIL() << "nothing was thrown";
  } catch (const core::UserError& error) {
    EXPECT_THAT(error.what(), HasSubstr("did you mean bart_base_samsum?"));
  }
}

TEST(CopyShippedConfig, BringsItsFragmentsAlong) {
  tests::TemporaryFolder folder;
  const std::vector<std::string> paths =
      copy_shipped_config(find_shipped_config("studies/samsum_freeze_encoder"), folder.path());
  EXPECT_THAT(paths, testing::ElementsAre(folder.path("studies/samsum_freeze_encoder.yaml"),
                                          folder.path("bart_large_samsum.yaml"), folder.path("base/samsum.yaml")));
  EXPECT_EQ(load_experiment(paths[0]).model.freeze.size(), 2u);
  EXPECT_NO_THROW(copy_shipped_config(find_shipped_config("bart_large_samsum"), folder.path()));
  core::write_file(paths[1], "mine");
  EXPECT_THROW(copy_shipped_config(find_shipped_config("bart_large_samsum"), folder.path()), core::UserError);
  EXPECT_EQ(core::read_file(paths[1]), "mine");
}

}  // namespace
}  // namespace txtsum::config
