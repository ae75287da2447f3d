#include "txtsum/io/safetensors_writer.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "support/temporary_folder.h"
#include "txtsum/core/error.h"
#include "txtsum/core/file.h"
#include "txtsum/core/json.h"
#include "txtsum/io/piece_file.h"
#include "txtsum/io/weight_folder.h"

namespace txtsum::io {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;

const std::string kFixtures = std::string(TXTSUM_SOURCE_DIR) + "/tests/fixtures/io/";

TEST(SafetensorsWriter, WritesTheBytesThatPythonWrites) {
  const SafetensorsFile python(kFixtures + "mixed.safetensors");
  std::vector<NamedTensor> tensors;
  for (const TensorEntry& entry : python.entries()) tensors.push_back({entry.name, python.tensor(entry.name)});
  std::reverse(tensors.begin(), tensors.end());
  const tests::TemporaryFolder folder;
  for (const PublishMode mode : {PublishMode::kRename, PublishMode::kInPlace}) {
    save_safetensors(folder.path("ours"), tensors, pytorch_metadata(), mode);
    EXPECT_EQ(core::read_file(folder.path("ours")), core::read_file(kFixtures + "mixed.safetensors"));
  }
}

TEST(SafetensorsWriter, StoresViewsAndOtherTypes) {
  const tests::TemporaryFolder folder;
  const at::Tensor matrix = at::arange(12, at::kFloat).reshape({3, 4});
  save_safetensors(folder.path("x"), {{"t", matrix.t()}, {"rows", matrix.narrow(0, 0, 2), at::kBFloat16}});
  const SafetensorsFile file(folder.path("x"));
  EXPECT_TRUE(at::equal(file.tensor("t"), matrix.t()));
  EXPECT_EQ(file.find("rows")->dtype, "BF16");
  EXPECT_TRUE(at::equal(file.tensor("rows").to(at::kFloat), matrix.narrow(0, 0, 2)));
}

TEST(SafetensorsWriter, LeavesTheOldFileWhereWritingFails) {
  const tests::TemporaryFolder folder;
  save_safetensors(folder.path("x"), {{"a", at::ones({2})}});
  const std::string before = core::read_file(folder.path("x"));
  EXPECT_THROW(save_safetensors(folder.path("x"), {{"a", at::ones({2}, at::kComplexDouble)}}), core::DataError);
  EXPECT_EQ(core::read_file(folder.path("x")), before);
  EXPECT_THROW(save_safetensors(folder.path("none/x"), {{"a", at::ones({2})}}), core::DataError);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator()), 1);
}

TEST(SafetensorsWriter, ReportsAFullDisk) {
  if (!fs::exists("/dev/full")) GTEST_SKIP();
  EXPECT_THROW(save_safetensors("/dev/full", {{"a", at::ones({2})}}, {}, PublishMode::kInPlace), core::DataError);
}

/// The last stretch of each tensor first, as if others had the rest.
TEST(SafetensorsWriter, PiecesInAnyOrderMakeTheBytesThatPythonWrites) {
  const SafetensorsFile python(kFixtures + "mixed.safetensors");
  std::vector<TensorDeclaration> declarations;
  for (const TensorEntry& entry : python.entries()) {
    const at::Tensor tensor = python.tensor(entry.name);
    declarations.push_back({entry.name, tensor.sizes().vec(), tensor.scalar_type()});
  }
  const FileLayout layout = lay_out_file("ours", declarations);
  const tests::TemporaryFolder folder;
  {
    PieceFile made = PieceFile::create(folder.path("ours"));
    made.reserve(layout.bytes);
    made.write(0, layout.header);
  }
  EXPECT_EQ(fs::file_size(folder.path("ours")), fs::file_size(kFixtures + "mixed.safetensors"));
  for (const bool second_half : {true, false}) {
    PieceFile file = PieceFile::open(folder.path("ours"));
    for (const FileLayout::Place& place : layout.places) {
      const TensorDeclaration& declared = declarations[place.tensor];
      const at::Tensor values = python.tensor(declared.name).reshape({-1});
      const int64_t half = values.numel() / 2;
      const at::Tensor piece = second_half ? values.narrow(0, half, values.numel() - half) : values.narrow(0, 0, half);
      const uint64_t begin = second_half ? static_cast<uint64_t>(half) * c10::elementSize(declared.type) : 0;
      file.write(place.begin + begin, piece, declared.type);
    }
    file.publish();
  }
  EXPECT_EQ(core::read_file(folder.path("ours")), core::read_file(kFixtures + "mixed.safetensors"));
}

TEST(SafetensorsWriter, PiecesNeedAFileThatIsThere) {
  const tests::TemporaryFolder folder;
  EXPECT_THROW(PieceFile::open(folder.path("none")), core::DataError);
  EXPECT_THROW(PieceFile::create(folder.path("none/x")), core::DataError);
}

TEST(SafetensorsWriter, ShardsAsTransformersDoes) {
  const WeightFolder python(kFixtures + "sharded");
  std::vector<NamedTensor> tensors;
  for (const auto& name : core::read_json_file(kFixtures + "sharded_order.json")) {
    // Tied embeddings are stored once; transformers' files hold them under one name.
    if (python.find(name.get<std::string>()) == nullptr) continue;
    tensors.push_back({name.get<std::string>(), python.tensor(name.get<std::string>())});
    tensors.back().is_parameter = name != "final_logits_bias";
  }
  ASSERT_EQ(tensors.size(), python.names().size());
  const tests::TemporaryFolder folder;
  const std::vector<std::string> written = save_sharded(folder.path(), tensors, 20'000);
  ASSERT_EQ(written.size(), 3u);
  for (const std::string& name : written) {
    EXPECT_EQ(core::read_file(folder.path(name)), core::read_file(kFixtures + "sharded/" + name)) << name;
  }
}

TEST(SafetensorsWriter, RemovesTheWeightsOfAnEarlierSave) {
  const tests::TemporaryFolder folder;
  const std::vector<NamedTensor> tensors = {{"a", at::ones({4})}, {"big", at::ones({16})}, {"c", at::ones({4})}};
  core::write_file(folder.path("model.notes"), "mine");
  // The tensor over the limit is a shard of its own, and the open shard goes on after it.
  EXPECT_THAT(save_sharded(folder.path(), tensors, 40),
              ElementsAre("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
                          "model.safetensors.index.json"));
  EXPECT_EQ(SafetensorsFile(folder.path("model-00001-of-00002.safetensors")).entries().size(), 1u);
  EXPECT_THAT(save_sharded(folder.path(), tensors, 1 << 20), ElementsAre("model.safetensors"));
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator()), 2);
  EXPECT_THAT(WeightFolder(folder.path()).names(), ElementsAre("a", "big", "c"));
}

}  // namespace
}  // namespace txtsum::io
