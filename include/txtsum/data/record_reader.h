#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace txtsum::data {

/// One row of a data file.
struct Record {
  std::string source;
  std::string target;  ///< Empty where the file has no target column and none is wanted.
  std::string id;      ///< Empty where the file has no id column.
  int64_t line = 0;    ///< Line of the file, from 1, on which the row begins.
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

/// Reads a file of pairs from front to back, one row in memory at a time. Its ending says the format; all are UTF-8:
///
/// - `.jsonl`, `.ndjson`: JSON lines, an object a line;
/// - `.json`: one document, an array of objects or an object of which exactly one value is an array of objects; a file
///   that is neither is read as JSON lines;
/// - `.csv`, `.tsv`: RFC 4180 with commas or tabs and a header row of column names; an empty field is an empty text.
///
/// A byte order mark, CRLF and blank lines are allowed in all. The known pairs of columns are in docs/data.md; a file
/// that has two of them is refused, since the choice would be a guess. All errors are DataErrors `path:line: ...` with
/// the line on which the row begins.
class RecordReader {
 public:
  /// Opens the file and chooses the columns. Throws DataError: no such file, unknown ending, no row, a column that is
  /// missing (the text lists those found).
  RecordReader(const std::string& path, const ColumnRequest& request);
  ~RecordReader();
  RecordReader(RecordReader&&) noexcept;

  const std::string& path() const;
  /// `JSON lines`, `JSON document`, `CSV` or `TSV`: as the file is read, which decides its rows.
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
