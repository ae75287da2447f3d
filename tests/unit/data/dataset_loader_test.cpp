#include "txtsum/data/dataset_loader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <set>

#include "fake_encode.h"
#include "support/temporary_folder.h"
#include "txtsum/core/error.h"
#include "txtsum/core/file.h"
#include "txtsum/core/stop_signal.h"

namespace txtsum::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<int32_t> to_vector(std::span<const int32_t> ids) { return {ids.begin(), ids.end()}; }

class DatasetLoader : public ::testing::Test {
 protected:
  void SetUp() override {
    core::write_file(folder_.path("a.jsonl"),
                     "{\"text\":\"one two three\",\"summary\":\"short one\"}\n"
                     "{\"text\":\" \\n\",\"summary\":\"no source\"}\n"
                     "{\"text\":\"no target\",\"summary\":\"\"}\n");
    core::write_file(folder_.path("b.csv"), "id,dialogue,summary\nx9,\"four, five\nsix\",end\n");
    options_.files = {folder_.path("a.jsonl"), folder_.path("b.csv")};
    options_.tokenizer_fingerprint = "words";
    options_.max_source_tokens = 4;
    options_.max_target_tokens = 3;
    options_.threads = 2;
  }
  LoadedDataset load() { return load_dataset(options_, counting_); }

  tests::TemporaryFolder folder_;
  DatasetOptions options_;
  std::atomic<int> calls_{0};
  Encode counting_ = [this](std::string_view text, int64_t limit) {
    ++calls_;
    return encode_words(text, limit);
  };
};

TEST_F(DatasetLoader, TokenizesCutsAndDropsEmptyPairs) {
  options_.keep_texts = true;
  const LoadedDataset loaded = load();
  const Dataset& dataset = loaded.dataset;
  ASSERT_EQ(dataset.size(), 2);
  EXPECT_THAT(to_vector(dataset.source(0)), ElementsAre(0, 13, 13, 2));
  EXPECT_THAT(to_vector(dataset.target(0)), ElementsAre(0, 15, 2));
  EXPECT_THAT(to_vector(dataset.source(1)), ElementsAre(0, 15, 14, 2));
  EXPECT_THAT(to_vector(dataset.target(1)), ElementsAre(0, 13, 2));
  EXPECT_THAT(dataset.table().full_lengths, ElementsAre(5, 4, 5, 3));
  EXPECT_EQ(dataset.table().counts.read, 4);
  EXPECT_EQ(dataset.table().counts.empty_source, 1);
  EXPECT_EQ(dataset.table().counts.empty_target, 1);
  EXPECT_THAT(dataset.token_counts(), ElementsAre(7, 7));
  EXPECT_EQ(dataset.text(0).id, "0");
  EXPECT_EQ(dataset.text(1).id, "x9");
  EXPECT_EQ(dataset.text(1).source, "four, five\nsix");
  EXPECT_EQ(dataset.text(0).reference, "short one");
  EXPECT_EQ(loaded.columns[0].source, "text");
  EXPECT_EQ(loaded.columns[1].source, "dialogue");
}

TEST_F(DatasetLoader, TakesTheCacheUnlessSomethingThatMattersChanged) {
  options_.cache_folder = folder_.path("cache/deep");
  const LoadedDataset first = load();
  EXPECT_FALSE(first.was_cached);
  const int calls = calls_;
  options_.keep_texts = true;
  options_.threads = 1;
  const LoadedDataset second = load();
  EXPECT_TRUE(second.was_cached);
  EXPECT_EQ(calls_, calls);
  EXPECT_EQ(second.dataset.text(1).id, "x9");
  for (int64_t i = 0; i < 2; ++i) {
    EXPECT_EQ(to_vector(second.dataset.source(i)), to_vector(first.dataset.source(i)));
    EXPECT_EQ(to_vector(second.dataset.target(i)), to_vector(first.dataset.target(i)));
  }
  const auto expect_new = [&](const char* what) { EXPECT_FALSE(load().was_cached) << what; };
  options_.tokenizer_fingerprint = "others";
  expect_new("tokenizer");
  options_.max_source_tokens = 5;
  expect_new("source limit");
  options_.max_target_tokens = 4;
  expect_new("target limit");
  options_.source_prefix = "summarize: ";
  expect_new("prefix");
  options_.max_examples = 1;
  expect_new("example limit");
  core::write_file(folder_.path("b.csv"), "id,dialogue,summary\nx9,\"four, five\nsix\",End\n");
  expect_new("content");
  EXPECT_TRUE(load().was_cached);
}

TEST_F(DatasetLoader, ReadsTheSamePairsFromEveryFormat) {
  core::write_file(folder_.path("x.jsonl"),
                   "{\"id\":1,\"text\":\"one two\",\"summary\":\"s\"}\n"
                   "{\"id\":2,\"text\":\"\",\"summary\":\"s\"}\n");
  core::write_file(folder_.path("x.json"),
                   "{\"data\":[{\"id\":1,\"text\":\"one two\",\"summary\":\"s\"},\n"
                   "{\"id\":2,\"text\":\"\",\"summary\":\"s\"}]}");
  core::write_file(folder_.path("x.csv"), "id,text,summary\r\n1,one two,s\r\n2,,s\r\n");
  core::write_file(folder_.path("x.tsv"), "id\ttext\tsummary\n1\tone two\ts\n2\t\ts");
  options_.keep_texts = true;
  for (const char* name : {"x.jsonl", "x.json", "x.csv", "x.tsv"}) {
    options_.files = {folder_.path(name)};
    const Dataset dataset = load().dataset;
    ASSERT_EQ(dataset.size(), 1) << name;
    EXPECT_THAT(to_vector(dataset.source(0)), ElementsAre(0, 13, 13, 2)) << name;
    EXPECT_EQ(dataset.text(0).id, "1") << name;
    EXPECT_EQ(dataset.text(0).source, "one two") << name;
    EXPECT_EQ(dataset.text(0).reference, "s") << name;
    EXPECT_EQ(dataset.table().counts.empty_source, 1) << name;
  }
}

// The same bytes and columns under another ending: other rows.
TEST_F(DatasetLoader, KeepsFormatsApartInTheCache) {
  options_.cache_folder = folder_.path("cache");
  const auto load_as = [&](const char* name, const std::string& text) {
    core::write_file(folder_.path(name), text);
    options_.files = {folder_.path(name)};
    return load();
  };
  const std::string rows = "{\"text\":\"t\",\"summary\":\"s\",\"data\":[{\"text\":\"one two\",\"summary\":\"s\"}]}";
  EXPECT_FALSE(load_as("x.jsonl", rows).was_cached);
  const LoadedDataset document = load_as("x.json", rows);
  EXPECT_FALSE(document.was_cached);
  EXPECT_THAT(to_vector(document.dataset.source(0)), ElementsAre(0, 13, 13, 2));
  EXPECT_TRUE(load_as("y.ndjson", rows).was_cached);
  EXPECT_TRUE(load_as("y.json", rows).was_cached);
  EXPECT_FALSE(load_as("y.json", rows + "\n").was_cached);

  const std::string table = "text,summary,a\ttext\tsummary\none two,s,b\tone\ts\n";
  EXPECT_THAT(to_vector(load_as("x.csv", table).dataset.source(0)), ElementsAre(0, 13, 13, 2));
  const LoadedDataset tabs = load_as("x.tsv", table);
  EXPECT_FALSE(tabs.was_cached);
  EXPECT_THAT(to_vector(tabs.dataset.source(0)), ElementsAre(0, 13, 2));
  EXPECT_TRUE(load_as("y.CSV", table).was_cached);
}

#if TXTSUM_WITH_ARROW
TEST_F(DatasetLoader, KeysTheCacheOfAFolderByAllItsFiles) {
  namespace fs = std::filesystem;
  const std::string fixtures = std::string(TXTSUM_SOURCE_DIR) + "/tests/fixtures/data/arrow/";
  fs::copy(fixtures + "saved_splits", folder_.path("saved"), fs::copy_options::recursive);
  options_.cache_folder = folder_.path("cache");
  options_.files = {folder_.path("saved")};
  options_.folder_split = "train";
  EXPECT_FALSE(load().was_cached);
  EXPECT_TRUE(load().was_cached);
  EXPECT_EQ(load().dataset.table().counts.read, 12);
  fs::copy_file(fixtures + "saved/data-00002-of-00003.arrow", folder_.path("saved/train/data-00001-of-00002.arrow"),
                fs::copy_options::overwrite_existing);
  const LoadedDataset changed = load();
  EXPECT_FALSE(changed.was_cached);
  EXPECT_EQ(changed.columns.size(), 1u);
  options_.folder_split = "validation";
  EXPECT_EQ(load().dataset.table().counts.read, 5);
  options_.fail_on_empty = true;
  options_.files = {fixtures + "files/none.parquet"};
  try {
    load();
    FAIL();
  } catch (const core::DataError& error) {
    EXPECT_THAT(error.what(), HasSubstr("none.parquet, row "));
  }
}
#endif

class SourceShares : public DatasetLoader {
 protected:
  static constexpr double kTest = 0.1, kValidation = 0.2;
  void SetUp() override {
    DatasetLoader::SetUp();
    std::string text;
    for (int i = 0; i < 4000; ++i) {
      const std::string source = "document " + std::to_string(i % 3000);  // some are there twice
      text += "{\"text\":\"" + source + "\",\"summary\":\"s\",\"id\":" + std::to_string(i) + "}\n";
    }
    core::write_file(folder_.path("a.jsonl"), text);
    options_.files = {folder_.path("a.jsonl")};
    options_.keep_texts = true;
  }
  std::vector<ExampleText> texts_of(double begin, double end) {
    options_.share = {begin, end};
    const Dataset dataset = load().dataset;
    std::vector<ExampleText> texts;
    for (int64_t i = 0; i < dataset.size(); ++i) texts.push_back(dataset.text(i));
    return texts;
  }
};

TEST_F(SourceShares, CutTheRowsIntoDisjointPartsThatAreEverything) {
  std::set<std::string> ids, sources;
  size_t rows = 0, documents = 0;
  std::vector<size_t> sizes;
  for (const auto& [begin, end] : {std::pair(0.0, kTest), {kTest, 1.0 - kValidation}, {1.0 - kValidation, 1.0}}) {
    const std::vector<ExampleText> texts = texts_of(begin, end);
    std::set<std::string> own;
    for (const ExampleText& text : texts) {
      ids.insert(text.id);
      own.insert(text.source);
    }
    rows += texts.size();
    documents += own.size();  // a document on two sides would be counted twice
    sources.merge(own);
    sizes.push_back(texts.size());
  }
  EXPECT_EQ(rows, 4000u);
  EXPECT_EQ(ids.size(), 4000u);
  EXPECT_EQ(documents, 3000u);
  EXPECT_EQ(sources.size(), 3000u);
  // Six standard deviations of 3000 documents, a third of them double.
  EXPECT_NEAR(static_cast<double>(sizes[0]), 4000 * kTest, 140);
  EXPECT_NEAR(static_cast<double>(sizes[2]), 4000 * kValidation, 190);
}

TEST_F(SourceShares, DependOnTheDocumentAlone) {
  const std::vector<ExampleText> small = texts_of(0.0, 0.05), large = texts_of(0.0, 0.1);
  std::set<std::string> in_large;
  for (const ExampleText& text : large) in_large.insert(text.id);
  for (const ExampleText& text : small) EXPECT_TRUE(in_large.contains(text.id));
  EXPECT_LT(small.size(), large.size());
  // Fixed for good: another version of the program must not move a document from the test data to the training data.
  const SourceShare half{0.0, 0.5};
  EXPECT_EQ(half.holds("document 0"), false);
  EXPECT_EQ(half.holds("document 1"), true);
  EXPECT_EQ(half.holds("document 2"), true);
  EXPECT_EQ(half.holds(""), true);
}

TEST_F(SourceShares, CountTheirOwnRows) {
  options_.max_examples = 7;
  const std::vector<ExampleText> first = texts_of(0.0, kTest);
  ASSERT_EQ(first.size(), 7u);
  options_.max_examples.reset();
  const std::vector<ExampleText> all = texts_of(0.0, kTest);
  for (size_t i = 0; i < first.size(); ++i) EXPECT_EQ(first[i].id, all[i].id);
}

TEST_F(SourceShares, AreInTheCachesKey) {
  options_.cache_folder = folder_.path("cache");
  EXPECT_FALSE(load().was_cached);
  options_.share = {0.0, 0.1};
  EXPECT_FALSE(load().was_cached);
  EXPECT_TRUE(load().was_cached);
  options_.share = {0.1, 1.0};
  EXPECT_FALSE(load().was_cached);
  options_.share = {};
  EXPECT_TRUE(load().was_cached);
}

TEST_F(SourceShares, SayThatAnEmptyOneIsAShare) {
  options_.share = {0.0, 1e-12};
  try {
    load();
    FAIL();
  } catch (const core::DataError& error) {
    EXPECT_THAT(error.what(), HasSubstr("in the share of the documents that this split takes"));
  }
}

TEST_F(DatasetLoader, PutsThePrefixBeforeSources) {
  options_.source_prefix = "summarize: ";
  EXPECT_THAT(to_vector(load().dataset.source(0)), ElementsAre(0, 20, 13, 2));
}

TEST_F(DatasetLoader, CountsTheExampleLimitBeforeDropping) {
  options_.max_examples = 3;
  EXPECT_EQ(load().dataset.size(), 1);
}

TEST_F(DatasetLoader, FailsOnEmptyWhereAsked) {
  options_.fail_on_empty = true;
  try {
    load();
    FAIL();
  } catch (const core::DataError& error) {
    EXPECT_THAT(error.what(), HasSubstr("a.jsonl:2: column 'text' is empty"));
  }
}

TEST_F(DatasetLoader, FailsWithoutAnyExample) {
  core::write_file(folder_.path("a.jsonl"), "{\"text\":\"\",\"summary\":\"x\"}\n");
  options_.files = {folder_.path("a.jsonl")};
  EXPECT_THROW(load(), core::DataError);
}

TEST_F(DatasetLoader, KeepsTheOrderWithManyThreads) {
  std::string text;
  for (int i = 0; i < 10'000; ++i)
    text += "{\"text\":\"" + std::string(static_cast<size_t>(i % 97 + 1), 'a') + "\",\"summary\":\"s\"}\n";
  core::write_file(folder_.path("a.jsonl"), text);
  options_.files = {folder_.path("a.jsonl")};
  options_.threads = 8;
  const Dataset dataset = load().dataset;
  ASSERT_EQ(dataset.size(), 10'000);
  for (int64_t i = 0; i < dataset.size(); ++i) ASSERT_EQ(dataset.source(i)[1], i % 97 + 11) << i;
}

TEST_F(DatasetLoader, HandsOnTheExceptionOfAWorker) {
  const Encode failing = [](std::string_view, int64_t) -> Encoded { throw core::UserError("no room"); };
  EXPECT_THROW(load_dataset(options_, failing), core::UserError);
}

TEST_F(DatasetLoader, StopsAtASignal) {
  core::set_stop_signal(15);
  EXPECT_THROW(load(), core::StoppedBySignal);
  core::set_stop_signal(0);
}

TEST_F(DatasetLoader, SaysWhatToDoWhereTheCacheCannotBeWritten) {
  core::write_file(folder_.path("file"), "in the way");
  options_.cache_folder = folder_.path("file/cache");
  try {
    load();
    FAIL();
  } catch (const core::DataError& error) {
    EXPECT_THAT(error.what(), HasSubstr("data.cache"));
  }
}

}  // namespace
}  // namespace txtsum::data
