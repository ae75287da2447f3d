#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "txtsum/core/file.h"
#include "txtsum/data/record_reader.h"

namespace txtsum::data {

/// Reads the rows of one file. Field names are known once the file is open.
class RecordReader::Format {
 public:
  virtual ~Format() = default;
  virtual const std::string& path() const = 0;
  /// What RecordReader::format_name says.
  virtual const char* format_name() const = 0;
  /// Names of the fields: the header row, or the keys of the first object.
  virtual std::vector<std::string> names() const = 0;
  /// Goes to the next row; false at the end. Throws DataError.
  virtual bool advance() = 0;
  /// Line on which the current row begins, from 1.
  virtual int64_t line() const = 0;
  /// The field called `name` of the current row. Throws DataError when it is missing or not text; integers become text
  /// where `allow_integer`.
  virtual std::string field(const std::string& name, bool allow_integer) const = 0;
};

/// Read a file as the format. `open_json` reads a JSON document where there is one, else JSON lines. Throw DataError.
std::unique_ptr<RecordReader::Format> open_json_lines(core::MappedFile file);
std::unique_ptr<RecordReader::Format> open_json(core::MappedFile file);
std::unique_ptr<RecordReader::Format> open_csv(core::MappedFile file);
std::unique_ptr<RecordReader::Format> open_tsv(core::MappedFile file);

/// `names` as `'a', 'b'`, for messages.
std::string quoted_list(const std::vector<std::string>& names);

/// Offset after a byte order mark, if `text` begins with one.
inline size_t skip_byte_order_mark(std::string_view text) { return text.substr(0, 3) == "\xef\xbb\xbf" ? 3 : 0; }

}  // namespace txtsum::data
