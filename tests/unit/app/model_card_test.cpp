#include "app/model_card.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "app/card_metadata.h"
#include "sample_runs.h"
#include "support/temporary_folder.h"
#include "txtsum/core/file.h"

namespace txtsum::tests {
namespace {

using app::CardBase;
using app::model_card;
using ::testing::HasSubstr;
using ::testing::Not;

core::Json report() { return sample_run("tiny \"run\"", {10, 20, 30}).report; }

CardBase hub_base() { return {{"cache/snapshot", app::ModelSource::kCache, "0123abc"}, {}}; }
CardBase local_base() { return {{"models/mine", app::ModelSource::kFolder, ""}, {}}; }

std::string metadata_of(const std::string& card) { return card.substr(4, card.find("\n---\n", 4) - 3); }

TEST(ModelCard, NumbersAreTheReports) {
  const core::Json source = report();
  const std::string metadata = metadata_of(model_card(source, hub_base()));
  const core::Json& test = source.at("quality").at("test");
  EXPECT_THAT(metadata, HasSubstr("      name: ROUGE-1\n      value: " + core::to_line(test.at("rouge1")) + "\n"));
  EXPECT_THAT(metadata,
              HasSubstr("  emissions: " + core::to_line(source.at("carbon").at("high_grams").at("value")) + "\n"));
  EXPECT_THAT(metadata, HasSubstr("- name: \"tiny \\\"run\\\"\"\n"));
  EXPECT_THAT(metadata, HasSubstr("base_model: facebook/bart-base\n"));
  EXPECT_THAT(metadata, HasSubstr("  geographical_location: \"westeurope\"\n"));
  EXPECT_THAT(metadata, HasSubstr("  hardware_used: \"Some GPU\"\n"));
  EXPECT_THAT(metadata, HasSubstr("  training_type: fine-tuning\n"));
}

TEST(ModelCard, WhatIsNotKnownIsLeftOutOfTheMetadataAndSaidOnThePage) {
  core::Json source = report();
  source["quality"] = core::Json::object();
  for (const char* key : {"low_grams", "high_grams"}) {
    source["carbon"][key] = metrics::to_json(metrics::missing("g CO2e", "Set resources.region."));
  }
  for (const char* key : {"carbon_grams_low", "carbon_grams_high"}) {
    source["total"][key] = source["carbon"]["high_grams"];
  }
  const std::string card = model_card(source, local_base());
  const std::string metadata = metadata_of(card);
  for (const char* key : {"model-index", "co2_eq_emissions", "base_model", "language", "license", "datasets"}) {
    EXPECT_THAT(metadata, Not(HasSubstr(key)));
  }
  EXPECT_THAT(card, HasSubstr("no summaries were scored"));
  EXPECT_THAT(card, HasSubstr("| carbon, highest | missing | Set resources.region. |"));
}

TEST(ModelCard, AValidationStandsInForATestThatWasNotScored) {
  core::Json source = report();
  source["quality"] = {
      {"validation", {{"rouge1", 41.5}, {"rouge2", 20}, {"rougeL", 33}, {"rougeLsum", 34}, {"loss", 2}}}};
  const std::string card = model_card(source, hub_base());
  EXPECT_THAT(card, HasSubstr("split: validation\n"));
  EXPECT_THAT(card, HasSubstr("value: 41.5\n"));
  EXPECT_THAT(card, HasSubstr("the test split was not scored"));
}

TEST(ModelCard, LanguageAndLicenceComeFromTheBaseUnlessTheConfigSaysMore) {
  CardBase base = hub_base();
  base.readmes["README.md"] =
      "---\r\nlicense: apache-2.0\r\nlanguage:\r\n- en\r\n- de\r\ntags:\r\n- x\r\n---\r\n# BART\r\n";
  core::Json source = report();
  EXPECT_THAT(metadata_of(model_card(source, base)),
              HasSubstr("language:\n- en\n- de\nlicense: apache-2.0\nlibrary_name"));
  source["config"]["report.language"] = "[fr, no]";
  source["config"]["report.dataset"] = "someone/texts";
  const std::string metadata = metadata_of(model_card(source, base));
  EXPECT_THAT(metadata, HasSubstr("language: [\"fr\", \"no\"]\nlicense: apache-2.0\n"));
  EXPECT_THAT(metadata, HasSubstr("datasets:\n- \"someone/texts\"\n"));
  EXPECT_THAT(metadata, HasSubstr("      type: \"someone/texts\"\n"));
}

TEST(ModelCard, OfAModelFromRandomWeightsInheritsNeitherLicenceNorLanguage) {
  CardBase base = hub_base();
  base.readmes["README.md"] = "---\nlicense: apache-2.0\nlanguage: en\n---\n# BART\n";
  core::Json source = report();
  source["config"]["model.init"] = "random";
  const std::string card = model_card(source, base), metadata = metadata_of(card);
  for (const char* key : {"license", "language", "base_model"}) EXPECT_THAT(metadata, Not(HasSubstr(key)));
  EXPECT_THAT(card, HasSubstr("The card of the model whose architecture and tokenizer it has: [README_base.md]"));
  source["config"]["report.language"] = "de";
  EXPECT_THAT(metadata_of(model_card(source, base)), HasSubstr("language: \"de\"\n"));
}

TEST(ModelCard, UpdatesThatWereDoneAgainCountOnce) {
  core::Json source = report();
  EXPECT_THAT(model_card(source, hub_base()), HasSubstr("\n10 updates on 0 examples, 0 source and 0 target tokens.\n"));
  source["work_done_twice"]["updates"] = 3;
  EXPECT_THAT(model_card(source, hub_base()),
              HasSubstr("\n7 updates on 0 examples, 0 source and 0 target tokens, those of 3 updates included"));
}

TEST(ModelCard, AnEntryEndsAtTheNextKey) {
  const std::string card = "---\nlanguage:\n  - en\n\nlicense: mit\nlicense_name: x\n---\nlanguage: no\n";
  EXPECT_EQ(app::metadata_entry(card, "language"), "language:\n  - en\n\n");
  EXPECT_EQ(app::metadata_entry(card, "license"), "license: mit\n");
  EXPECT_EQ(app::metadata_entry(card, "datasets"), "");
  EXPECT_EQ(app::metadata_entry("# no metadata\nlanguage: en\n", "language"), "");
}

TEST(ModelCard, NothingOfTheBaseIsLost) {
  const TemporaryFolder base, model;
  core::write_file(base.path("README.md"), "the base\n");
  core::write_file(base.path("README_base.md"), "the base's base\n");
  core::write_file(base.path("config.json"), "{}\n");
  const CardBase read = app::read_card_base({base.path(), app::ModelSource::kFolder, ""});
  app::write_model_card(model.path(), report(), read);
  EXPECT_EQ(core::read_file(model.path("README_base.md")), "the base\n");
  EXPECT_EQ(core::read_file(model.path("README_base_base.md")), "the base's base\n");
  EXPECT_EQ(core::read_file(model.path("README.md")), model_card(report(), read));
  EXPECT_THAT(core::read_file(model.path("README.md")), HasSubstr("(README_base.md)"));
}

TEST(ModelCard, TextOfTheUserIsNoMarkup) {
  core::Json source = report();
  source["run_name"] = "<img src=x> *a* | `b`";
  source["command_line"] = "txtsum train '```'";
  const std::string card = model_card(source, hub_base());
  EXPECT_THAT(card, HasSubstr("# \\<img src=x\\> \\*a\\* \\| \\`b\\`\n"));
  EXPECT_THAT(card, HasSubstr("````\ntxtsum train '```'\n````\n"));
}

}  // namespace
}  // namespace txtsum::tests
