#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "data_folder.h"
#include "txtsum/core/file.h"
#include "txtsum/data/record_reader.h"

namespace txtsum::data {

/// Reads the rows of one file, or of the files of a folder. Field names are known once it is open.
class RecordReader::Format {
 public:
  virtual ~Format() = default;
  /// The file of the current row.
  virtual const std::string& path() const = 0;
  /// Every file that has a part in the rows.
  virtual std::vector<std::string> files() const { return {path()}; }
  /// What RecordReader::format_name says.
  virtual const char* format_name() const = 0;
  /// Names of the fields: the header row, or the keys of the first object.
  virtual std::vector<std::string> names() const = 0;
  /// Says which columns field() will be asked for, before the first row. Throws DataError where one cannot be read.
  virtual void select(const ColumnChoice&) {}
  /// Goes to the next row; false at the end. Throws DataError.
  virtual bool advance() = 0;
  /// Line on which the current row begins, from 1; for formats without lines the number of the row in its file.
  virtual int64_t line() const = 0;
  /// Where the current row lies, for messages.
  virtual std::string where() const { return path() + ":" + std::to_string(line()); }
  /// The field called `name` of the current row. Throws DataError when it is missing or not text; integers become text
  /// where `allow_integer`.
  virtual std::string field(const std::string& name, bool allow_integer) const = 0;
};

/// Read a file as the format. `open_json` reads a JSON document where there is one, else JSON lines. Throw DataError.
std::unique_ptr<RecordReader::Format> open_json_lines(core::MappedFile file);
std::unique_ptr<RecordReader::Format> open_json(core::MappedFile file);
std::unique_ptr<RecordReader::Format> open_csv(core::MappedFile file);
std::unique_ptr<RecordReader::Format> open_tsv(core::MappedFile file);

/// Rows of Arrow or Parquet files, one file after the other. Where there are `index_files`, each row of theirs is the
/// number of the row to read instead. Throws DataError.
std::unique_ptr<RecordReader::Format> open_arrow(const DataFiles& files);

/// What a file's name ends with, in small letters: `.csv`.
std::string ending_of(const std::string& path);

bool is_utf8(const std::string& text);

/// `names` as `'a', 'b'`, for messages.
std::string quoted_list(const std::vector<std::string>& names);

/// Offset after a byte order mark, if `text` begins with one.
inline size_t skip_byte_order_mark(std::string_view text) { return text.substr(0, 3) == "\xef\xbb\xbf" ? 3 : 0; }

}  // namespace txtsum::data
