#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace txtsum::config {

class FieldVisitor;
class Complaints;

/// What happens to a pair whose document or summary is empty or only white space.
enum class EmptyPolicy { kDrop, kFail };
inline std::vector<std::string_view> choice_names(EmptyPolicy) { return {"drop", "fail"}; }

/// Section `data`: files, columns, lengths and limits. Paths are relative to the current folder.
struct DataConfig {
  std::vector<std::string> train;                  ///< Files or folders; the ending says the format (docs/data.md).
  std::vector<std::string> validation;             ///< Files; none: no validation.
  std::vector<std::string> test;                   ///< Files; none: no test at the end.
  double validation_share = 0.0;                   ///< Or: of the training documents, by their hash.
  double test_share = 0.0;                         ///< Likewise.
  std::optional<std::string> source_column;        ///< Unset: the known pair that the file has.
  std::optional<std::string> summary_column;       ///< Set or unset together with source_column.
  std::optional<std::string> id_column;            ///< Unset: `id` where the file has it, else the row number.
  std::string source_prefix;                       ///< Put before every document (T5: `summarize: `).
  int64_t max_source_tokens = 1024;                ///< Documents are cut to this, special tokens included.
  int64_t max_target_tokens = 128;                 ///< Training targets are cut to this; references never are.
  std::optional<int64_t> max_train_examples;       ///< First N of the split; unset: all.
  std::optional<int64_t> max_validation_examples;  ///< First N of the split; unset: all.
  std::optional<int64_t> max_test_examples;        ///< First N of the split; unset: all.
  EmptyPolicy empty = EmptyPolicy::kDrop;          ///< Pairs with an empty side.
  std::string cache = "~/.cache/txtsum";           ///< Folder of tokenized data; empty: no cache.
  int64_t prefetch_batches = 4;                    ///< Batches made ahead on a thread; 0: none.

  bool has_validation() const { return !validation.empty() || validation_share > 0; }
  bool has_test() const { return !test.empty() || test_share > 0; }
  /// `cache` with a leading `~` replaced by HOME. Empty when there is no cache. Throws UserError when HOME is unset.
  std::string cache_folder() const;

  void describe(FieldVisitor& visitor);
  void check(Complaints& complaints) const;
};

}  // namespace txtsum::config
