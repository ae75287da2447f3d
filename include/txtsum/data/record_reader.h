#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace txtsum::data {

/// One row of a data file.
struct Record {
  std::string source;
  std::string target;  ///< Empty where the file has no target column and none is wanted.
  std::string id;      ///< Empty where the file has no id column.
  int64_t line = 0;    ///< Line on which the row begins, or its number in an Arrow or Parquet file; from 1.
};

/// Which columns to read. Unset ones are found by name.
struct ColumnRequest {
  std::optional<std::string> source;  ///< Set together with `target`, where a target is wanted.
  std::optional<std::string> target;
  std::optional<std::string> id;  ///< Unset: `id` where the file has it.
  bool wants_target = true;       ///< Without: only the source column is needed, and `target` is read where it is set.
};

/// The columns that are read.
struct ColumnChoice {
  std::string source;
  std::string target;          ///< Empty: none.
  std::string id;              ///< Empty: none.
  bool found_by_name = false;  ///< Whether the source and target columns were found among the known pairs.
};

/// Reads a file of pairs, or a folder of such files, from front to back. The ending says the format; all are UTF-8:
///
/// - `.jsonl`, `.ndjson`: JSON lines, an object a line;
/// - `.json`: one document, an array of objects or an object of which exactly one value is an array of objects; a file
///   that is neither is read as JSON lines;
/// - `.csv`, `.tsv`: RFC 4180 with commas or tabs and a header row of column names; an empty field is an empty text;
/// - `.parquet`, and `.arrow` and `.feather` in Arrow's stream or file format: columns of strings;
/// - a folder: what datasets' save_to_disk wrote, or shards in the formats of the line before (docs/data.md).
///
/// One row is in memory at a time, of Arrow one record batch, of Parquet a page and a few hundred rows of each column.
/// A byte order mark, CRLF and blank lines are allowed in text formats. The known pairs of columns are in docs/data.md;
/// a file that has two of them is refused, since the choice would be a guess. All errors are DataErrors `path:line:
/// ...` with the line on which the row begins; `path, row N: ...` where a file has no lines.
class RecordReader {
 public:
  /// Opens the file or folder and chooses the columns. `split` (`train`, `validation`, `test`) is the one to read where
  /// a folder holds several; empty: none is chosen. Throws DataError: no such file, unknown ending, no row (of text
  /// formats), a column that is missing (the text lists those found) or not text, a split that is missing.
  RecordReader(const std::string& path, const ColumnRequest& request, const std::string& split = "");
  ~RecordReader();
  RecordReader(RecordReader&&) noexcept;

  /// The file of the row read last.
  const std::string& path() const;
  /// Where the row read last lies, for messages: `path:line`, or `path, row N`.
  std::string where() const;
  /// Every file that has a part in the rows; more than one for a folder.
  std::vector<std::string> files() const;
  /// `JSON lines`, `CSV`, `Parquet`, ...: as the file is read, which decides its rows.
  const char* format_name() const;
  const ColumnChoice& columns() const;
  /// Reads the next row into `record`; false at the end. Throws DataError: bad JSON or CSV, a row with too few or too
  /// many fields, a field that is missing or not text (an id may be an integer), bytes that are not UTF-8.
  bool next(Record& record);

  /// One file format: hands out rows of named fields. Defined with the formats.
  class Format;

 private:
  std::unique_ptr<Format> format_;
  ColumnChoice columns_;
};

}  // namespace txtsum::data
