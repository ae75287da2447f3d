// Generated ids against transformers' generate() (scripts/reference/make_generation_fixtures.py).

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "parity/transformer_fixture.h"
#include "support/test_device.h"
#include "support/tolerances.h"
#include "txtsum/config/experiment_config.h"
#include "txtsum/config/load.h"
#include "txtsum/core/json.h"
#include "txtsum/generate/generator.h"
#include "txtsum/model/model_folder.h"

namespace txtsum::tests {
namespace {

constexpr const char* kFolder = TXTSUM_SOURCE_DIR "/tests/fixtures/generation/";
/// Two hypotheses that transformers scores closer than this may come in either order.
constexpr double kScoreGap = 1e-4;

struct Model {
  model::LoadedModel loaded;
  core::Json generation_config;
};

Model load(const std::string& folder) {
  Model result;
  model::LoadRequest request;
  request.folder = folder;
  request.device = test_device();
  result.loaded = model::load_model(request);
  result.generation_config = core::read_json_file(folder + "/generation_config.json");
  return result;
}

generate::GenerationSettings settings_of(const Model& model, const std::vector<std::string>& arguments) {
  const config::ExperimentConfig config = config::load_arguments(arguments);
  return generate::resolve_settings(config.generation, model.generation_config, model.loaded.config,
                                    model.loaded.model->facts())
      .settings;
}

std::vector<std::vector<generate::Hypothesis>> run(const Model& model, const generate::GenerationSettings& settings,
                                                   const std::vector<std::vector<int32_t>>& sources) {
  std::vector<std::vector<generate::Hypothesis>> results(sources.size());
  const generate::SourceSet set{static_cast<int64_t>(sources.size()),
                                [&](int64_t i) { return std::span(sources[static_cast<size_t>(i)]); }};
  generate::generate(*model.loaded.model, settings, set, [&](int64_t i, std::vector<generate::Hypothesis> hypotheses) {
    results[static_cast<size_t>(i)] = std::move(hypotheses);
  });
  return results;
}

TEST(GenerationParity, EverySettingGivesTransformersIds) {
  const core::Json fixture = core::read_json_file(std::string(kFolder) + "tiny.json");
  const auto sources = fixture.at("sources").get<std::vector<std::vector<int32_t>>>();
  double largest = 0;
  int cases = 0;
  for (const core::Json& item : fixture.at("cases")) {
    SCOPED_TRACE(item.at("name").get<std::string>());
    const Model model = load(kFolder + item.at("model").get<std::string>());
    const auto results = run(model, settings_of(model, item.at("ours").get<std::vector<std::string>>()), sources);
    ASSERT_EQ(results.size(), item.at("documents").size());
    for (size_t i = 0; i < results.size(); ++i) {
      const core::Json& wanted = item.at("documents").at(i);
      ASSERT_EQ(results[i].size(), wanted.size()) << "document " << i;
      for (size_t h = 0; h < wanted.size(); ++h) {
        EXPECT_EQ(core::Json(results[i][h].ids), wanted.at(h).at("ids")) << "document " << i << ", hypothesis " << h;
        if (wanted.at(h).at("score").is_null()) continue;
        const double score = wanted.at(h).at("score").get<double>();
        largest = std::max(largest, std::abs(results[i][h].score - score) / std::max(1.0, std::abs(score)));
      }
    }
    ++cases;
  }
  EXPECT_GE(cases, 20);
  EXPECT_LT(largest, kSequenceScoreTolerance);
  RecordProperty("largest_score_error", std::to_string(largest));
}

TEST(GenerationParity, RealDocumentsGiveTransformersIds) {
  const core::Json fixture = core::read_json_file(std::string(kFolder) + "debian.json");
  const Model model = load(TXTSUM_SOURCE_DIR "/configs/models/txtsum-mini");
  std::vector<std::vector<int32_t>> sources;
  for (const core::Json& item : fixture.at("documents")) {
    sources.push_back(item.at("source").get<std::vector<int32_t>>());
  }
  ASSERT_EQ(sources.size(), 200u);
  const auto results = run(model, settings_of(model, fixture.at("ours").get<std::vector<std::string>>()), sources);
  int swapped = 0;
  for (size_t i = 0; i < results.size(); ++i) {
    const core::Json& wanted = fixture.at("documents").at(i);
    const core::Json ids(results[i].front().ids);
    if (ids != wanted.at("ids") && std::abs(wanted.at("gap").get<double>()) < kScoreGap) {
      EXPECT_EQ(ids, wanted.at("second"));
      std::printf("document %s: the second hypothesis, whose score is %.2g lower\n",
                  wanted.at("id").get<std::string>().c_str(), wanted.at("gap").get<double>());
      ++swapped;
      continue;
    }
    EXPECT_EQ(ids, wanted.at("ids")) << wanted.at("id");
  }
  EXPECT_LE(swapped, 2);
}

/// Every family's tiny model (scripts/reference/make_transformer_fixtures.py), three beams.
TEST(GenerationParity, EveryFamilyGivesTransformersIds) {
  for (const std::string& family : kFamilies) {
    SCOPED_TRACE(family);
    const TransformerFixture fixture(family);
    const Model model = load(fixture.folder());
    const core::Json documents = core::read_json_file(fixture.folder() + "/generated.json");
    std::vector<std::vector<int32_t>> sources;
    for (const core::Json& document : documents) sources.push_back(document.at("source").get<std::vector<int32_t>>());
    const auto settings =
        settings_of(model, {"generation.beams=3", "generation.max_new_tokens=11", "generation.min_new_tokens=0",
                            "generation.no_repeat_ngram=2", "generation.length_penalty=1.5",
                            "generation.early_stopping=true", "generation.forced_eos_token_id=-1"});
    const auto results = run(model, settings, sources);
    ASSERT_EQ(results.size(), 9u);
    for (size_t i = 0; i < results.size(); ++i) {
      EXPECT_EQ(core::Json(results[i].front().ids), documents.at(i).at("ids")) << "document " << i;
    }
  }
}

}  // namespace
}  // namespace txtsum::tests
