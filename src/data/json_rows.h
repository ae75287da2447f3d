#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "record_format.h"
#include "txtsum/core/file.h"
#include "txtsum/core/json.h"

namespace txtsum::data {

/// What the formats of JSON have in common: a row is an object, its keys are the fields. A format finds where its rows
/// lie in the file; one row at a time is parsed.
class JsonRows : public RecordReader::Format {
 public:
  const std::string& path() const override { return file_.path(); }
  int64_t line() const override { return line_; }
  std::vector<std::string> names() const override;
  bool advance() override;
  std::string field(const std::string& name, bool allow_integer) const override;

 protected:
  explicit JsonRows(core::MappedFile file) : file_(std::move(file)) {}
  /// Reads the first row, which has the names; `next` hands it out. Throws DataError with `wanted` when there is none.
  void read_first_row(const std::string& wanted);
  /// Goes to the next row with set_row; false at the end.
  virtual bool read_row() = 0;

  /// Parses `text`, which begins on `line`, as the current row. `hint` is added to what is wrong with it.
  void set_row(std::string_view text, int64_t line, const std::string& hint);
  [[noreturn]] void fail_at(int64_t line, const std::string& reason) const;
  const core::MappedFile& file() const { return file_; }

 private:
  core::MappedFile file_;
  int64_t line_ = 1;
  nlohmann::json row_;
  bool has_unused_row_ = false;
};

}  // namespace txtsum::data
