#include "txtsum/io/weight_folder.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <functional>

#include "support/temporary_folder.h"
#include "txtsum/core/error.h"
#include "txtsum/core/file.h"
#include "txtsum/io/safetensors_writer.h"

namespace txtsum::io {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const core::DataError& error) {
    return error.what();
  }
  return "";
}

/// A folder of two shards: `a` in the first, `b` in the second.
class ShardedFolder : public ::testing::Test {
 protected:
  void SetUp() override { save_sharded(folder_.path(), {{"a", at::ones({4})}, {"b", at::zeros({4})}}, 16); }
  std::string error() const {
    return error_of([&] { const WeightFolder opened(folder_.path()); });
  }
  void write_index(const std::string& weight_map) const {
    core::write_file(folder_.path("model.safetensors.index.json"),
                     R"({"metadata":{},"weight_map":)" + weight_map + "}");
  }
  tests::TemporaryFolder folder_;
};

TEST_F(ShardedFolder, GivesEveryTensor) {
  const WeightFolder weights(folder_.path());
  EXPECT_THAT(weights.names(), ElementsAre("a", "b"));
  EXPECT_TRUE(at::equal(weights.tensor("a"), at::ones({4})));
  EXPECT_TRUE(at::equal(weights.tensor("b"), at::zeros({4})));
  EXPECT_EQ(weights.files().size(), 2u);
  EXPECT_EQ(weights.find("c"), nullptr);
  EXPECT_THAT(error_of([&] { weights.tensor("c"); }), HasSubstr("no tensor 'c'"));
}

TEST_F(ShardedFolder, TakesTheSingleFileFirst) {
  save_safetensors(folder_.path("model.safetensors"), {{"only", at::ones({1})}});
  EXPECT_THAT(WeightFolder(folder_.path()).names(), ElementsAre("only"));
}

TEST_F(ShardedFolder, RefusesAMissingShard) {
  std::filesystem::remove(folder_.path("model-00002-of-00002.safetensors"));
  EXPECT_THAT(error(),
              AllOf(HasSubstr("model-00002-of-00002.safetensors"), HasSubstr("missing shard"), HasSubstr("'b'")));
}

TEST_F(ShardedFolder, RefusesANameInTwoShards) {
  save_safetensors(folder_.path("model-00002-of-00002.safetensors"), {{"a", at::ones({1})}, {"b", at::ones({1})}});
  EXPECT_THAT(error(), AllOf(HasSubstr("'a'"), HasSubstr("in two shards")));
}

TEST_F(ShardedFolder, RefusesAShardThatDisagreesWithTheIndex) {
  write_index(R"({"a":"model-00001-of-00002.safetensors","b":"model-00002-of-00002.safetensors",)"
              R"("c":"model-00002-of-00002.safetensors"})");
  EXPECT_THAT(error(), AllOf(HasSubstr("lacks tensor 'c'")));
  write_index(R"({"a":"model-00001-of-00002.safetensors","b":"model-00001-of-00002.safetensors",)"
              R"("x":"model-00002-of-00002.safetensors"})");
  EXPECT_THAT(error(), AllOf(HasSubstr("'b'"), HasSubstr("lists for model-00001-of-00002.safetensors")));
  save_safetensors(folder_.path("model-00002-of-00002.safetensors"), {{"b", at::ones({1})}, {"d", at::ones({1})}});
  write_index(R"({"a":"model-00001-of-00002.safetensors","b":"model-00002-of-00002.safetensors"})");
  EXPECT_THAT(error(), AllOf(HasSubstr("'d'"), HasSubstr("does not list")));
}

TEST_F(ShardedFolder, RefusesABadIndex) {
  write_index("[]");
  EXPECT_THAT(error(), HasSubstr("weight_map"));
  write_index("{}");
  EXPECT_THAT(error(), HasSubstr("empty"));
  write_index(R"({"a":"../model-00001-of-00002.safetensors"})");
  EXPECT_THAT(error(), HasSubstr("in this folder"));
  write_index(R"({"a":3})");
  EXPECT_THAT(error(), HasSubstr("found 3"));
  core::write_file(folder_.path("model.safetensors.index.json"), "{");
  EXPECT_THAT(error(), HasSubstr("not valid JSON"));
}

TEST(WeightFolder, SaysWhichFilesItWouldRead) {
  const tests::TemporaryFolder folder;
  EXPECT_THAT(
      error_of([&] { WeightFolder(folder.path()).names(); }),
      AllOf(HasSubstr("no weights"), HasSubstr("model.safetensors.index.json"), HasSubstr("pytorch_model.bin")));
  EXPECT_THAT(error_of([&] { WeightFolder(folder.path("none")).names(); }), HasSubstr("no such folder"));
}

}  // namespace
}  // namespace txtsum::io
