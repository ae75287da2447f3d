#include "txtsum/generate/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "txtsum/core/error.h"

namespace txtsum::tests {
namespace {

using generate::resolve_settings;
using generate::ResolvedSettings;

model::ModelFacts facts() {
  model::ModelFacts made;
  made.vocabulary = 100;
  made.max_target_tokens = 64;
  return made;
}

std::string origin_of(const ResolvedSettings& resolved, const std::string& name) {
  for (const generate::SettingOrigin& origin : resolved.origins) {
    if (origin.name == name) return origin.origin;
  }
  return "not there";
}

const core::Json kFile{{"num_beams", 4},        {"max_length", 30},       {"min_length", 5},
                       {"length_penalty", 2.0}, {"eos_token_id", {2, 9}}, {"forced_bos_token_id", 0}};

TEST(Settings, TheExperimentComesBeforeTheFolder) {
  config::GenerationConfig experiment;
  experiment.beams = 2;
  experiment.max_new_tokens = 10;
  experiment.forced_bos_token_id = -1;
  const ResolvedSettings resolved = resolve_settings(experiment, kFile, {{"num_beams", 7}}, facts());
  EXPECT_EQ(resolved.settings.beams, 2);
  EXPECT_EQ(origin_of(resolved, "beams"), "experiment");
  EXPECT_EQ(resolved.settings.max_length, 11);
  EXPECT_EQ(resolved.settings.min_length, 5);
  EXPECT_EQ(origin_of(resolved, "min_new_tokens"), "generation_config.json");
  EXPECT_EQ(resolved.settings.length_penalty, 2.0);
  EXPECT_EQ(resolved.settings.forced_bos_id, -1);
  EXPECT_THAT(resolved.settings.eos_ids, testing::ElementsAre(2, 9));
}

TEST(Settings, RenormalizationIsTheFoldersUnlessTheExperimentSaysOtherwise) {
  core::Json file = kFile;
  file["renormalize_logits"] = true;
  config::GenerationConfig experiment;
  const ResolvedSettings folder = resolve_settings(experiment, file, nullptr, facts());
  EXPECT_TRUE(folder.settings.renormalize_logits);
  EXPECT_EQ(origin_of(folder, "renormalize_logits"), "generation_config.json");
  EXPECT_TRUE(folder.warnings.empty());
  experiment.renormalize_logits = false;
  EXPECT_FALSE(resolve_settings(experiment, file, nullptr, facts()).settings.renormalize_logits);
  EXPECT_FALSE(resolve_settings({}, kFile, nullptr, facts()).settings.renormalize_logits);
}

TEST(Settings, TheOldKeysOfConfigJsonCountOnlyWithoutTheNewFile) {
  const core::Json config{{"num_beams", 6}, {"no_repeat_ngram_size", 3}};
  const ResolvedSettings without = resolve_settings({}, nullptr, config, facts());
  EXPECT_EQ(without.settings.beams, 6);
  EXPECT_EQ(origin_of(without, "beams"), "config.json");
  const ResolvedSettings with = resolve_settings({}, kFile, config, facts());
  EXPECT_EQ(with.settings.beams, 4);
  EXPECT_EQ(with.settings.no_repeat_ngram, 0);
  EXPECT_EQ(without.settings.max_length, facts().max_target_tokens);  // less than the default of 128 new tokens
}

TEST(Settings, WhatNobodySaysIsTransformersDefaultButForTheLength) {
  config::GenerationConfig experiment;
  model::ModelFacts large = facts();
  large.max_target_tokens = 1024;
  const ResolvedSettings resolved = resolve_settings(experiment, nullptr, nullptr, large);
  EXPECT_EQ(resolved.settings.beams, 1);
  EXPECT_EQ(resolved.settings.max_length, 129);
  EXPECT_EQ(resolved.settings.length_penalty, 1.0);
  EXPECT_EQ(origin_of(resolved, "beams"), "default");
}

TEST(Settings, WhatIsNotFollowedIsSaid) {
  core::Json file = kFile;
  file["do_sample"] = true;
  file["num_beam_groups"] = 2;
  const ResolvedSettings resolved = resolve_settings({}, file, nullptr, facts());
  EXPECT_THAT(resolved.warnings,
              testing::UnorderedElementsAre(testing::HasSubstr("do_sample"), testing::HasSubstr("num_beam_groups")));
}

TEST(Settings, ContradictionsAreRefusedWithTheWayOut) {
  const auto refused = [](auto change, const std::string& text) {
    config::GenerationConfig experiment;
    change(experiment);
    try {
      resolve_settings(experiment, kFile, nullptr, facts());
      ADD_FAILURE() << "not refused: " << text;
    } catch (const core::UserError& error) {
      EXPECT_THAT(error.what(), testing::HasSubstr(text));
    }
  };
  refused([](auto& e) { e.max_new_tokens = 64; }, "generation.max_new_tokens=63");
  refused([](auto& e) { e.min_new_tokens = 40; }, "min_new_tokens");
  refused([](auto& e) { e.hypotheses = 5; }, "hypotheses 5 is more than beams 4");
  refused([](auto& e) { e.suppress_tokens = std::vector<int64_t>{100}; }, "suppress_tokens 100");
  refused([](auto& e) { e.suppress_tokens = std::vector<int64_t>{-4}; }, "suppress_tokens -4");
  refused([](auto& e) { e.decoder_start_token_id = -3; }, "decoder_start_token_id -3");
}

}  // namespace
}  // namespace txtsum::tests
