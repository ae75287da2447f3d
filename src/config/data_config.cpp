#include "txtsum/config/data_config.h"

#include <cstdlib>
#include <filesystem>

#include "txtsum/config/field.h"
#include "txtsum/core/error.h"

namespace txtsum::config {
namespace {

bool has_known_ending(const std::string& path) {
  for (const char* ending : {".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet", ".arrow", ".feather"}) {
    if (path.ends_with(ending)) return true;
  }
  return false;
}

void check_endings(const std::string& key, const std::vector<std::string>& paths, Complaints& complaints) {
  for (const std::string& path : paths) {
    // What has no ending may be a folder; whether it is there is said when it is read.
    const std::filesystem::path named(path);
    if (has_known_ending(path) || (!path.empty() && !named.has_extension())) continue;
    std::error_code ignored;
    if (std::filesystem::is_directory(named, ignored)) continue;
    complaints.add(key, "'" + path + "' is no folder and ends in none of .jsonl, .ndjson, .json, .csv, .tsv, " +
                            ".parquet, .arrow and .feather");
  }
}

void check_shares(const DataConfig& data, Complaints& complaints) {
  const auto check_alone = [&](const char* key, double share, const char* files_key, bool has_files) {
    if (share > 0 && has_files) {
      complaints.add(key, std::string("takes a share of the training data, and ") + files_key +
                              " names files: keep one of the two");
    }
  };
  check_alone("data.validation_share", data.validation_share, "data.validation", !data.validation.empty());
  check_alone("data.test_share", data.test_share, "data.test", !data.test.empty());
  if (data.validation_share + data.test_share >= 1) {
    complaints.add("data.validation_share", "with data.test_share it takes everything: nothing is left to train on");
  }
}

void describe_files(DataConfig& data, FieldVisitor& visitor) {
  visitor.field("train", data.train,
                {.help = "Training file or files; the ending says the format: .jsonl, .ndjson, .json, .csv, .tsv, "
                         ".parquet, .arrow, .feather. Or a folder: of datasets' save_to_disk, or of Parquet or Arrow "
                         "shards; of several splits in it, the one of the key's name is read.",
                 .required = true});
  visitor.field("validation", data.validation, {.help = "Validation files or folders, as train; none: no validation."});
  visitor.field(
      "test", data.test,
      {.help = "Test files or folders, as train; none: no test when training is over.", .changes_training = false});
  visitor.field("validation_share", data.validation_share,
                {.help = "Instead of validation: so much of the training data is set aside, chosen by a hash of each "
                         "document; equal documents stay together.",
                 .minimum = 0,
                 .maximum = 1,
                 .below_maximum = true});
  visitor.field("test_share", data.test_share,
                {.help = "Instead of test: likewise, by the same hash; the two never overlap.",
                 .minimum = 0,
                 .maximum = 1,
                 .below_maximum = true});
  visitor.field("source_column", data.source_column,
                {.help = "Column of the documents.",
                 .default_note = "the known pair that the file has: dialogue/summary, article/highlights, "
                                 "document/summary, text/summary, else one of the rarer ones in docs/data.md"});
  visitor.field("summary_column", data.summary_column,
                {.help = "Column of the summaries.", .default_note = "as source_column"});
  visitor.field("id_column", data.id_column,
                {.help = "Column that names an example in predictions.",
                 .default_note = "`id` where the file has it, else the row's number"});
}

}  // namespace

std::string DataConfig::cache_folder() const {
  if (cache != "~" && !cache.starts_with("~/")) return cache;
  const char* home = std::getenv("HOME");
  if (home == nullptr || *home == '\0') {
    throw core::UserError("data.cache: '" + cache + "' needs HOME, which is not set; give another folder");
  }
  return home + cache.substr(1);
}

void DataConfig::describe(FieldVisitor& visitor) {
  describe_files(*this, visitor);
  visitor.field("source_prefix", source_prefix, {.help = "Text put before every document."});
  visitor.field(
      "max_source_tokens", max_source_tokens,
      {.help = "Documents are cut to this many tokens, special tokens included.", .unit = "tokens", .minimum = 3});
  visitor.field("max_target_tokens", max_target_tokens,
                {.help = "Training targets are cut to this many tokens, special tokens included; references are "
                         "scored whole.",
                 .unit = "tokens",
                 .minimum = 3});
  visitor.field(
      "max_train_examples", max_train_examples,
      {.help = "Only the first N pairs of the split.", .unit = "examples", .minimum = 1, .default_note = "all"});
  visitor.field(
      "max_validation_examples", max_validation_examples,
      {.help = "Only the first N pairs of the split.", .unit = "examples", .minimum = 1, .default_note = "all"});
  visitor.field("max_test_examples", max_test_examples,
                {.help = "Only the first N pairs of the split.",
                 .unit = "examples",
                 .minimum = 1,
                 .changes_training = false,
                 .default_note = "all"});
  visitor.field("empty", empty,
                {.help = "Pairs whose document or summary is empty: `drop` (the data report counts them) or `fail`."});
  visitor.field(
      "cache", cache,
      {.help =
           "Folder of tokenized data, and of a frozen encoder's outputs; `~` is the home folder; \"\" keeps no cache.",
       .changes_training = false});
  visitor.field("prefetch_batches", prefetch_batches,
                {.help = "Batches made ahead on a thread of their own; 0: none.",
                 .unit = "batches",
                 .minimum = 0,
                 .maximum = 1024,
                 .changes_training = false});
}

void DataConfig::check(Complaints& complaints) const {
  check_endings("data.train", train, complaints);
  check_endings("data.validation", validation, complaints);
  check_endings("data.test", test, complaints);
  check_shares(*this, complaints);
  if (source_column.has_value() != summary_column.has_value()) {
    complaints.add(source_column ? "data.source_column" : "data.summary_column",
                   "source_column and summary_column are set together or not at all");
  } else if (source_column && *source_column == *summary_column) {
    complaints.add("data.summary_column", "is the same column as data.source_column");
  }
}

}  // namespace txtsum::config
