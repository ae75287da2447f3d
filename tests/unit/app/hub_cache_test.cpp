#include "txtsum/app/hub_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>

#include "support/temporary_folder.h"
#include "txtsum/core/error.h"
#include "txtsum/core/file.h"

namespace txtsum::app {
namespace {

using testing::HasSubstr;

struct Variables {
  std::map<std::string, std::string> values;
  std::string operator()(const std::string& name) const { return values.contains(name) ? values.at(name) : ""; }
};

void write_model(const std::string& folder) {
  for (const char* name : {"config.json", "model.safetensors", "tokenizer.json"}) {
    core::write_file(folder + "/" + name, "{}");
  }
}

std::string error_of(const std::string& argument, RequiredParts required = {}, const Variables& variables = {}) {
  try {
    resolve_model_folder(argument, required, variables);
  } catch (const core::UserError& error) {
    return error.what();
  }
  return "nothing was thrown";
}

TEST(ResolveModelFolder, TakesAHubFolder) {
  tests::TemporaryFolder folder;
  write_model(folder.path("bart"));
  const ModelFolder found = resolve_model_folder(folder.path("bart"));
  EXPECT_EQ(found.path, folder.path("bart"));
  EXPECT_EQ(found.source, ModelSource::kFolder);
}

TEST(ResolveModelFolder, TakesARunsModelAndACompleteStep) {
  tests::TemporaryFolder folder;
  const std::string run = folder.path("runs/x");
  write_model(run + "/model");
  EXPECT_EQ(resolve_model_folder(run).path, run + "/model");
  EXPECT_EQ(resolve_model_folder(run).source, ModelSource::kRun);
  const std::string step = run + "/checkpoints/step-20";
  write_model(step);
  EXPECT_THAT(error_of(step), HasSubstr("no file DONE"));
  EXPECT_THAT(error_of(step + "/"), HasSubstr("no file DONE"));
  core::write_file(step + "/DONE", "");
  EXPECT_EQ(resolve_model_folder(step).source, ModelSource::kStep);
}

TEST(ResolveModelFolder, NamesTheNewestStepOfARunThatIsNotFinished) {
  tests::TemporaryFolder folder;
  const std::string run = folder.path("runs/x");
  core::write_file(run + "/config.yaml", "");
  std::filesystem::create_directories(run + "/checkpoints");
  EXPECT_THAT(error_of(run), HasSubstr("no complete checkpoint either"));
  for (const char* step : {"step-9", "step-100", "step-20"}) {
    write_model(run + "/checkpoints/" + step);
    core::write_file(run + "/checkpoints/" + step + "/DONE", "");
  }
  write_model(run + "/checkpoints/step-500");
  EXPECT_THAT(error_of(run), HasSubstr("give " + run + "/checkpoints/step-100"));
}

TEST(ResolveModelFolder, SaysWhatAFolderLacks) {
  tests::TemporaryFolder folder;
  core::write_file(folder.path("a/model.safetensors"), "");
  EXPECT_THAT(error_of(folder.path("a")),
              HasSubstr("it holds model.safetensors; it lacks config.json and a tokenizer"));
  core::write_file(folder.path("b/config.json"), "{}");
  EXPECT_THAT(error_of(folder.path("b")),
              HasSubstr("it lacks weights (model.safetensors or pytorch_model.bin) and a tokenizer"));
  EXPECT_EQ(resolve_model_folder(folder.path("b"), {.weights = false, .tokenizer = false}).path, folder.path("b"));
  EXPECT_THAT(error_of(folder.path("b/config.json")), HasSubstr("this is a file"));
  EXPECT_THAT(error_of(""), HasSubstr("no model was given"));
  EXPECT_THAT(error_of("./nowhere"), HasSubstr("no such folder"));
  EXPECT_THAT(error_of("a/b/c"), HasSubstr("no such folder"));
}

TEST(ResolveModelFolder, FindsAnIdInTheCacheAsTheHubLaysItOut) {
  tests::TemporaryFolder folder;
  Variables variables{{{"HF_HUB_CACHE", folder.path("hub")}}};
  const std::string repository = folder.path("hub/models--facebook--bart-large-cnn");
  const std::string snapshot = repository + "/snapshots/abc123";
  EXPECT_THAT(error_of("facebook/bart-large-cnn", {}, variables),
              HasSubstr("\n  hf download facebook/bart-large-cnn\n"));
  write_model(repository + "/blobs");
  std::filesystem::create_directories(snapshot);
  EXPECT_THAT(error_of("facebook/bart-large-cnn", {}, variables), HasSubstr("at its revision main"));
  core::write_file(repository + "/refs/main", "abc123\n");
  for (const char* name : {"config.json", "tokenizer.json"}) {
    std::filesystem::create_symlink(std::string("../../blobs/") + name, snapshot + "/" + name);
  }
  std::filesystem::create_symlink("../../blobs/gone", snapshot + "/model.safetensors");
  EXPECT_THAT(error_of("facebook/bart-large-cnn", {}, variables), HasSubstr("lacks weights"));
  EXPECT_EQ(resolve_model_folder("facebook/bart-large-cnn", {.weights = false}, variables).path, snapshot);
  std::filesystem::remove(snapshot + "/model.safetensors");
  std::filesystem::create_symlink("../../blobs/model.safetensors", snapshot + "/model.safetensors");
  const ModelFolder found = resolve_model_folder("facebook/bart-large-cnn", {}, variables);
  EXPECT_EQ(found.path, snapshot);
  EXPECT_EQ(found.source, ModelSource::kCache);
  EXPECT_EQ(found.revision, "abc123");
}

TEST(HubCacheFolder, FollowsTheOrderOfHuggingFacesTools) {
  Variables variables{{{"HOME", "/home/a"}}};
  EXPECT_EQ(hub_cache_folder(variables), "/home/a/.cache/huggingface/hub");
  variables.values["XDG_CACHE_HOME"] = "/xdg";
  EXPECT_EQ(hub_cache_folder(variables), "/xdg/huggingface/hub");
  variables.values["HF_HOME"] = "~/hf";
  EXPECT_EQ(hub_cache_folder(variables), "/home/a/hf/hub");
  variables.values["HUGGINGFACE_HUB_CACHE"] = "/old";
  EXPECT_EQ(hub_cache_folder(variables), "/old");
  variables.values["HF_HUB_CACHE"] = "/new";
  EXPECT_EQ(hub_cache_folder(variables), "/new");
}

}  // namespace
}  // namespace txtsum::app
