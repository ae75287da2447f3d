#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "record_files.h"
#include "txtsum/core/file.h"
#include "txtsum/core/json.h"

namespace txtsum::data {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;

const std::string kArrow = kFixtures + "arrow/";

/// The text of the error that reading ends with; empty when there is none.
std::string reading_error(const std::string& path, const ColumnRequest& request = {}, const std::string& split = "") {
  try {
    RecordReader reader(path, request, split);
    for (Record record; reader.next(record);) {
    }
  } catch (const core::DataError& error) {
    return error.what();
  }
  return "";
}

class ArrowFormat : public RecordFiles {
 protected:
  void SetUp() override {
#if !TXTSUM_WITH_ARROW
    GTEST_SKIP() << "built without Arrow";
#endif
  }
  std::string copy(const std::string& fixture) const {
    const std::string path = folder_.path(fs::path(fixture).filename().string());
    fs::remove_all(path);
    fs::copy(kArrow + fixture, path, fs::copy_options::recursive);
    return path;
  }
};

TEST_F(ArrowFormat, ReadsWhatPyarrowAndDatasetsWrote) {
  const core::Json wanted = core::read_json_file(kArrow + "expected.json");
  ASSERT_GT(wanted.size(), 25u);
  for (const auto& [name, rows] : wanted.items()) {
    std::string path = kArrow + name, split;
    if (name.starts_with("hub/")) {
      split = name.substr(4);
      path = kArrow + "hub";
    }
    RecordReader reader(path, {}, split);
    EXPECT_TRUE(reader.columns().found_by_name);
    size_t i = 0;
    for (Record record; reader.next(record); ++i) {
      ASSERT_LT(i, rows.size()) << name;
      EXPECT_EQ(record.id, rows[i][0].get<std::string>()) << name << " row " << i;
      EXPECT_EQ(record.source, rows[i][1].get<std::string>()) << name << " row " << i;
      EXPECT_EQ(record.target, rows[i][2].get<std::string>()) << name << " row " << i;
    }
    EXPECT_EQ(i, rows.size()) << name;
  }
}

TEST_F(ArrowFormat, ChoosesTheSplitOfAFolderByItsName) {
  for (const char* split : {"train", "validation", "test"}) {
    RecordReader of_dict(kArrow + "saved_splits", {}, split);
    EXPECT_THAT(of_dict.path(), HasSubstr("saved_splits/" + std::string(split) + "/data-00000-of-"));
    RecordReader of_folder(kArrow + "saved_splits/" + split, {}, "validation");
    EXPECT_EQ(of_folder.files(), of_dict.files());
  }
  EXPECT_EQ(RecordReader(kArrow + "saved_splits", {}, "train").files().size(), 2u);
  EXPECT_EQ(RecordReader(kArrow + "hub/", {}, "validation").files().size(), 1u);
  EXPECT_EQ(RecordReader(kArrow + "saved_indexed", {}).files().size(), 3u);
}

TEST_F(ArrowFormat, NamesTheSplitsWhereTheWantedOneIsMissing) {
  fs::remove_all(copy("saved_splits") + "/test");
  const std::string dict = folder_.path("saved_splits");
  EXPECT_THAT(reading_error(dict, {}, "test"), HasSubstr("saved_splits/test/state.json: no such file"));
  core::write_file(dict + "/dataset_dict.json", R"({"splits": ["train", "dev"]})");
  EXPECT_THAT(reading_error(dict, {}, "validation"),
              AllOf(HasSubstr("saved_splits: no split 'validation'; found 'train', 'dev'"),
                    EndsWith("can be named by itself: " + dict + "/train")));
  EXPECT_THAT(reading_error(dict), HasSubstr("holds the splits 'train', 'dev'; name the folder of one: "));
  EXPECT_THAT(reading_error(kArrow + "hub", {}, "test"),
              HasSubstr("no split 'test'; found 'train', 'validation' by the"));
  EXPECT_THAT(reading_error(kArrow + "hub"),
              HasSubstr("holds the splits 'train', 'validation'; name the files of one"));
}

TEST_F(ArrowFormat, ReadsShardsInTheOrderOfTheirNames) {
  const auto shard = [&](const char* from, const std::string& to) {
    fs::create_directories(folder_.path("shards"));
    fs::copy_file(kArrow + from, folder_.path("shards/" + to));
  };
  const std::string folder = folder_.path("shards");
  shard("files/none.parquet", "part-b.parquet");
  shard("files/dictionary.parquet", "part-a.parquet");
  shard("files/no_rows.parquet", "part-0.parquet");
  core::write_file(folder + "/README.md", "x");
  for (const char* split : {"", "test"}) {
    RecordReader reader(folder, {}, split);
    std::vector<std::string> places;
    for (Record record; reader.next(record);) places.push_back(reader.where());
    ASSERT_EQ(places.size(), 22u);
    EXPECT_THAT(places[0], EndsWith("part-a.parquet, row 1"));
    EXPECT_THAT(places[10], EndsWith("part-a.parquet, row 11"));
    EXPECT_THAT(places[11], EndsWith("part-b.parquet, row 1"));
  }
  shard("files/none.parquet", "part-train.parquet");
  EXPECT_THAT(reading_error(folder),
              HasSubstr("part-0.parquet: the name has no split, and others in the folder have one"));
  shard("files/string_file.arrow", "x.arrow");
  EXPECT_THAT(reading_error(folder), HasSubstr("holds files of '.arrow', '.parquet'"));
}

TEST_F(ArrowFormat, MissesShards) {
  const std::string folder = copy("hub");
  fs::remove(folder + "/train-00000-of-00002.parquet");
  EXPECT_EQ(reading_error(folder, {}, "validation"), "");
  EXPECT_THAT(reading_error(folder, {}, "train"), HasSubstr("hub: shard 0 of the 2 of 'train' is missing"));
  fs::rename(folder + "/train-00001-of-00002.parquet", folder + "/train-test.parquet");
  EXPECT_THAT(reading_error(folder, {}, "train"),
              HasSubstr("train-test.parquet: the name has the words of two splits"));
}

TEST_F(ArrowFormat, KnowsTheSplitWordsOfDatasets) {
  fs::create_directories(folder_.path("d"));
  for (const char* name : {"samsum-Training.parquet", "x_dev1.parquet", "eval.parquet", "contested"}) {
    fs::copy_file(kArrow + "files/none.parquet", folder_.path("d/") + name);
  }
  const auto file_of = [&](const char* split) {
    return fs::path(RecordReader(folder_.path("d"), {}, split).path()).filename().string();
  };
  EXPECT_EQ(file_of("train"), "samsum-Training.parquet");
  EXPECT_EQ(file_of("validation"), "x_dev1.parquet");
  EXPECT_EQ(file_of("test"), "eval.parquet");
}

TEST_F(ArrowFormat, RefusesFoldersWithoutData) {
  EXPECT_THAT(reading_error(folder_.path()),
              HasSubstr("no data in this folder: wanted state.json or dataset_dict.json"));
  EXPECT_THAT(reading_error(folder_.path("nowhere")), HasSubstr("nowhere: no such file or folder"));
  EXPECT_THAT(reading_error(folder_.path("nowhere.parquet")), HasSubstr("No such file or directory"));
  const auto state_error = [&](const std::string& state) {
    core::write_file(folder_.path("state.json"), state);
    return reading_error(folder_.path());
  };
  EXPECT_THAT(state_error("{"), HasSubstr("state.json"));
  EXPECT_THAT(state_error("[]"), HasSubstr("state.json: no _data_files"));
  EXPECT_THAT(state_error(R"({"_data_files": []})"), HasSubstr("state.json: no _data_files"));
  EXPECT_THAT(state_error(R"({"_data_files": ["x"]})"), HasSubstr("_data_files: wanted objects with a filename"));
  EXPECT_THAT(state_error(R"({"_data_files": [{"filename": "gone.arrow"}]})"), HasSubstr("gone.arrow: no such file"));
}

TEST_F(ArrowFormat, RefusesColumnsThatAreNoText) {
  for (const std::string ending : {".parquet", ".arrow"}) {
    const auto refused = [&](const std::string& name) { return reading_error(kArrow + "refused/" + name + ending); };
    EXPECT_THAT(refused("null"), EndsWith("null" + ending + ", row 2: column 'summary': wanted a string, found null"));
    EXPECT_THAT(refused("all_null"), HasSubstr(ending + ": column 'summary': wanted strings (string, "));
    EXPECT_THAT(refused("all_null"), EndsWith("found null"));
    EXPECT_THAT(refused("list"), AllOf(HasSubstr("list" + ending + ": column 'summary'"), HasSubstr("found list<")));
    EXPECT_THAT(refused("integer"), EndsWith("found int64"));
    EXPECT_THAT(refused("float_id"), AllOf(HasSubstr("column 'id': wanted integers or strings"), EndsWith("double")));
    EXPECT_THAT(refused("binary"), EndsWith("found binary"));
    EXPECT_THAT(refused("other_names"),
                AllOf(HasSubstr(ending + ": no known columns"), HasSubstr("found 'document', 'text'; name")));
    EXPECT_THAT(refused("not_utf8"), EndsWith(ending + ", row 2: column 'summary': the text is not UTF-8"));
    EXPECT_THAT(reading_error(kArrow + "refused/other_names" + ending, columns("document", "abstract")),
                EndsWith("other_names" + ending + ": no column 'abstract'; found 'document', 'text'"));
    EXPECT_EQ(reading_error(kArrow + "refused/other_names" + ending, columns("document", "text")), "");
  }
  const auto refused = [&](const std::string& name) { return reading_error(kArrow + "refused/" + name); };
  EXPECT_THAT(refused("null_in_dictionary.arrow"), EndsWith("row 2: column 'summary': wanted a string, found null"));
  EXPECT_THAT(refused("outside_dictionary.arrow"), HasSubstr("outside_dictionary.arrow"));
  EXPECT_THAT(refused("outside_dictionary.arrow"), HasSubstr("5"));
  EXPECT_THAT(refused("twice.arrow"), EndsWith("twice.arrow: column 'summary' is there twice"));
}

TEST_F(ArrowFormat, ReadsSourcesAlone) {
  ColumnRequest request;
  request.source = "document";
  request.wants_target = false;
  EXPECT_EQ(reading_error(kArrow + "refused/list.parquet", request), "");
  EXPECT_EQ(read_all(kArrow + "refused/list.arrow", request)[2].source, "three");
}

// A cut is found wherever it is, even between two messages of a stream, which Arrow takes for its end.
TEST_F(ArrowFormat, RefusesFilesThatAreCutOff) {
  for (const char* name : {"string_stream.arrow", "string_file.arrow", "snappy.parquet", "lz4.feather"}) {
    const std::string bytes = core::read_file(kArrow + "files/" + name);
    for (size_t size = 0; size < bytes.size(); size += size < 64 ? 1 : 7) {
      const std::string error = reading_error(write(name, bytes.substr(0, size)));
      ASSERT_THAT(error, HasSubstr(folder_.path(name) + ": ")) << size << " of " << bytes.size();
    }
    ASSERT_THAT(reading_error(write(name, bytes.substr(0, bytes.size() - 8))), HasSubstr(name));
    if (name == std::string("string_stream.arrow")) {
      EXPECT_THAT(reading_error(write(name, bytes.substr(0, bytes.size() - 8))), HasSubstr("without its end mark"));
      EXPECT_THAT(reading_error(write(name, bytes + bytes)), HasSubstr("bytes behind the stream's end mark"));
    }
  }
}

TEST_F(ArrowFormat, RefusesWhatIsSomethingElse) {
  EXPECT_THAT(reading_error(write("x.parquet", "document,summary\n")), HasSubstr("x.parquet: "));
  EXPECT_THAT(reading_error(write("x.arrow", "document,summary\n")), HasSubstr("x.arrow: "));
  EXPECT_THAT(reading_error(write("x.feather", "FEA1 old")), HasSubstr("x.feather: Feather version 1"));
  EXPECT_THAT(reading_error(write("x.arrow", "")), HasSubstr("x.arrow: the file is empty"));
  EXPECT_THAT(reading_error(write("x.feather", core::read_file(kArrow + "files/none.parquet"))),
              HasSubstr("x.feather: "));
}

// Whatever a damaged byte does, it is an error or other text, never a read outside of the buffers.
TEST_F(ArrowFormat, SurvivesDamage) {
  int refused = 0, read = 0;
  for (const char* name : {"string_stream.arrow", "dictionary_file.arrow", "string_view_stream.arrow", "zstd.parquet",
                           "dictionary.parquet"}) {
    const std::string bytes = core::read_file(kArrow + "files/" + name);
    for (size_t at = 0; at < bytes.size(); at += 11) {
      std::string damaged = bytes;
      damaged[at] = static_cast<char>(damaged[at] ^ (at % 2 == 0 ? 0xff : 0x10));
      reading_error(write(name, damaged)).empty() ? ++read : ++refused;
    }
  }
  EXPECT_GT(refused, 100);
  EXPECT_GT(read, 100);
}

TEST_F(ArrowFormat, RefusesIndicesThatPointNowhere) {
  const std::string folder = copy("saved_indexed");
  fs::copy_file(kArrow + "files/string_stream.arrow", folder + "/indices.arrow", fs::copy_options::overwrite_existing);
  EXPECT_THAT(reading_error(folder), HasSubstr("indices.arrow: no column 'indices'; found 'id', "));
  fs::remove(folder + "/dataset-1.arrow");
  core::write_file(folder + "/state.json", R"({"_data_files": [{"filename": "dataset-0.arrow"}],
                                               "_indices_files": [{"filename": "indices.arrow"}]})");
  fs::copy_file(kArrow + "saved_indexed/indices.arrow", folder + "/indices.arrow",
                fs::copy_options::overwrite_existing);
  EXPECT_THAT(reading_error(folder), HasSubstr("indices.arrow: index 0 is 14, and the data has 8 rows"));
}

TEST_F(ArrowFormat, HoldsEveryShardToTheColumns) {
  fs::create_directories(folder_.path("s"));
  fs::copy_file(kArrow + "files/none.parquet", folder_.path("s/0.parquet"));
  fs::copy_file(kArrow + "refused/other_names.parquet", folder_.path("s/1.parquet"));
  EXPECT_THAT(reading_error(folder_.path("s"), columns("document", "summary")),
              EndsWith("s/1.parquet: no column 'summary'; found 'document', 'text'"));
}

}  // namespace
}  // namespace txtsum::data
