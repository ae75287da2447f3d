// Files of torch.save against what torch itself reads from them (scripts/reference/make_pickle_fixtures.py).

#include "txtsum/io/pickled_weights.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <functional>

#include "support/temporary_folder.h"
#include "txtsum/core/error.h"
#include "txtsum/core/file.h"
#include "txtsum/core/random.h"
#include "txtsum/io/safetensors.h"
#include "txtsum/io/weight_folder.h"

namespace txtsum::io {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const std::string kFolder = TXTSUM_SOURCE_DIR "/tests/fixtures/io/pickled/";

std::string error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const core::DataError& error) {
    return error.what();
  }
  return "";
}

/// The error of opening a file and reading all of it; empty where there is none.
std::string reading_error(const std::string& path) {
  return error_of([&] {
    const PickledWeights weights(path);
    for (const TensorEntry& entry : weights.entries()) weights.tensor(entry.name);
  });
}

class EveryForm : public ::testing::TestWithParam<const char*> {};

INSTANTIATE_TEST_SUITE_P(Files, EveryForm, ::testing::Values("zip.bin", "legacy.bin", "protocol4.bin"),
                         [](const auto& file) {
                           const std::string name(file.param);
                           return name.substr(0, name.find('.'));
                         });

TEST_P(EveryForm, GivesWhatTorchReads) {
  const PickledWeights weights(kFolder + GetParam());
  const SafetensorsFile expected(kFolder + "expected.safetensors");
  ASSERT_EQ(weights.entries().size(), expected.entries().size());
  for (const TensorEntry& entry : expected.entries()) {
    ASSERT_NE(weights.find(entry.name), nullptr) << entry.name;
    EXPECT_EQ(weights.find(entry.name)->dtype, entry.dtype) << entry.name;
    EXPECT_EQ(weights.find(entry.name)->shape, entry.shape) << entry.name;
    const at::Tensor ours = weights.tensor(entry.name), wanted = expected.tensor(entry.name);
    EXPECT_EQ(ours.scalar_type(), wanted.scalar_type()) << entry.name;
    EXPECT_TRUE(at::equal(ours, wanted)) << entry.name;
  }
  EXPECT_EQ(weights.find("tied.a")->begin, weights.find("tied.b")->begin);
  EXPECT_EQ(weights.find("nothing"), nullptr);
  EXPECT_THAT(error_of([&] { weights.tensor("nothing"); }), HasSubstr("no tensor 'nothing'"));
}

/// Every prefix of a file is refused, and no damaged byte leads out of it. The sanitizers watch.
TEST_P(EveryForm, TornAndDamagedFilesAreRefusedOrReadWithinTheirBytes) {
  const tests::TemporaryFolder folder;
  const std::string whole = core::read_file(kFolder + GetParam()), path = folder.path("torn.bin");
  core::RandomStream random(7, 1);
  for (size_t size = 0; size < whole.size(); size += 1 + random.next_u32() % 97) {
    core::write_file(path, whole.substr(0, size));
    EXPECT_NE(reading_error(path), "") << size << " bytes of " << whole.size();
  }
  for (int round = 0; round < 600; ++round) {
    std::string damaged = whole;
    for (int changes = 0; changes < 3; ++changes) {
      damaged[random.next_u32() % damaged.size()] = static_cast<char>(random.next_u32());
    }
    core::write_file(path, damaged);
    reading_error(path);  // an error, or values of the file
  }
}

TEST(PickledWeights, ReadsTheStateDictOfAModule) {
  const PickledWeights weights(kFolder + "module.bin");
  std::vector<std::string> names;
  for (const TensorEntry& entry : weights.entries()) names.push_back(entry.name);
  EXPECT_THAT(names, ElementsAre("0.weight", "0.bias", "1.weight", "1.bias"));
  EXPECT_TRUE(at::equal(weights.tensor("1.weight"), at::ones({2})));
}

TEST(PickledWeights, ExecutesNothing) {
  std::filesystem::remove("/tmp/txtsum-attacked");
  for (const char* name : {"attack.bin", "attack_legacy.bin"}) {
    EXPECT_THAT(reading_error(kFolder + "refused/" + name),
                AllOf(HasSubstr("names '"), HasSubstr("system'"), HasSubstr("nothing of it was executed")));
  }
  EXPECT_FALSE(std::filesystem::exists("/tmp/txtsum-attacked"));
}

TEST(PickledWeights, SaysWhatElseIsWrong) {
  const auto error = [](const char* name) { return reading_error(kFolder + "refused/" + name); };
  EXPECT_THAT(error("whole_training.bin"), HasSubstr("'model' is no tensor: wanted the weights alone"));
  EXPECT_THAT(error("one_tensor.bin"), HasSubstr("wanted a dictionary of tensors"));
  EXPECT_THAT(error("compressed.bin"), HasSubstr("is compressed"));
  EXPECT_THAT(error("plain_pickle.bin"), HasSubstr("plain_pickle.bin"));
  EXPECT_THAT(error("damaged.bin"), AllOf(HasSubstr("storage 0"), HasSubstr("does not have its checksum")));
  const tests::TemporaryFolder folder;
  core::write_file(folder.path("text.bin"), "hello");
  EXPECT_THAT(reading_error(folder.path("text.bin")), HasSubstr("wanted a file of torch.save"));
  core::write_file(folder.path("empty.bin"), "");
  EXPECT_THAT(reading_error(folder.path("empty.bin")), HasSubstr("wanted a file of torch.save"));
}

TEST(PickledWeights, RefusesShapesThatCannotBe) {
  const auto error = [](const std::string& name) {
    return reading_error(std::string(TXTSUM_SOURCE_DIR) + "/tests/fuzz/corpus/pickle/" + name);
  };
  for (const char* name : {"stride_overflow_of_empty", "size_overflow_of_empty", "size_overflow_by_stride_0"}) {
    EXPECT_THAT(error(name), HasSubstr("more elements than there can be"));
  }
  EXPECT_THAT(error("behind_storage"), HasSubstr("ends behind its storage"));
  EXPECT_THAT(error("bool_two"), HasSubstr("wanted 0 or 1 in BOOL tensor 'a', found 2"));
}

// Values that are kept and named again cost a file few bytes.
TEST(PickledWeights, BoundsWhatAPickleMayTake) {
  const tests::TemporaryFolder folder;
  const auto error = [&](const std::string& operations) {
    core::write_file(folder.path("greedy.bin"), std::string("\x80\x02", 2) + operations + ".");
    return reading_error(folder.path("greedy.bin"));
  };
  const std::string zero(1, '\0');
  EXPECT_THAT(error(std::string(4'000'001, 'N')), HasSubstr("more than 4000000 operations"));
  std::string operations = "]q" + zero + "(";  // a list of pairs, which is kept
  for (int i = 0; i < 10000; ++i) operations += "NN\x86";
  operations += "e";
  for (int i = 0; i < 400; ++i) operations += "ccollections\nOrderedDict\nh" + zero + "\x85R";
  EXPECT_THAT(error(operations), HasSubstr("more than 4000000 operations"));
}

TEST(PickledWeights, NestingDoesNotExhaustTheStack) {
  const tests::TemporaryFolder folder;
  std::string pickle("\x80\x02", 2);
  pickle.append(100000, ']').append(99999, 'a').append(".");
  core::write_file(folder.path("deep.bin"), pickle);
  EXPECT_THAT(reading_error(folder.path("deep.bin")), HasSubstr("ends too early"));
}

TEST(PickledWeights, AreAFoldersWeightsWhereThereIsNothingNewer) {
  const tests::TemporaryFolder folder;
  std::filesystem::copy_file(kFolder + "zip.bin", folder.path("pytorch_model.bin"));
  EXPECT_EQ(WeightFolder(folder.path()).names().size(),
            SafetensorsFile(kFolder + "expected.safetensors").entries().size());
  std::filesystem::copy_file(kFolder + "expected.safetensors", folder.path("model.safetensors"));
  EXPECT_THAT(WeightFolder(folder.path()).files(), ElementsAre(HasSubstr("model.safetensors")));
}

TEST(PickledWeights, MayBeSharded) {
  const WeightFolder weights(kFolder + "sharded");
  EXPECT_THAT(weights.names(), ElementsAre("bf16", "fp16", "fp32"));
  const SafetensorsFile expected(kFolder + "expected.safetensors");
  for (const std::string& name : weights.names()) EXPECT_TRUE(at::equal(weights.tensor(name), expected.tensor(name)));
  EXPECT_EQ(weights.files().size(), 2u);
}

}  // namespace
}  // namespace txtsum::io
