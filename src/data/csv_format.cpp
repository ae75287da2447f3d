#include <algorithm>

#include "record_format.h"
#include "txtsum/core/error.h"
#include "txtsum/core/file.h"
#include "txtsum/core/json.h"

namespace txtsum::data {
namespace {

/// RFC 4180. A quote inside an unquoted field is taken as it is, and a lone CR ends a row, as in Python's csv module.
class CsvFormat : public RecordReader::Format {
 public:
  explicit CsvFormat(const std::string& path) : file_(path), at_(skip_byte_order_mark(file_.text())) {
    if (!read_row()) throw core::DataError(path + ": no row; wanted a header row of column names");
    names_ = fields_;
    for (size_t i = 0; i < names_.size(); ++i) {
      if (std::find(names_.begin(), names_.begin() + static_cast<std::ptrdiff_t>(i), names_[i]) !=
          names_.begin() + static_cast<std::ptrdiff_t>(i)) {
        fail("column '" + names_[i] + "' is there twice");
      }
    }
  }

  const std::string& path() const override { return file_.path(); }
  std::vector<std::string> names() const override { return names_; }
  int64_t line() const override { return row_line_; }

  bool advance() override {
    if (!read_row()) return false;
    if (fields_.size() != names_.size()) {
      fail("wanted " + std::to_string(names_.size()) + " fields as in the header row, found " +
           std::to_string(fields_.size()));
    }
    return true;
  }

  std::string field(const std::string& name, bool) const override {
    const auto place = std::find(names_.begin(), names_.end(), name) - names_.begin();
    return fields_[static_cast<size_t>(place)];
  }

 private:
  [[noreturn]] void fail(const std::string& reason) const { fail_at(row_line_, reason); }
  [[noreturn]] void fail_at(int64_t line, const std::string& reason) const {
    throw core::DataError(path() + ":" + std::to_string(line) + ": " + reason);
  }

  bool at_end() const { return at_ >= file_.size(); }
  char here() const { return file_.text()[at_]; }

  /// Goes past a line break, if the cursor stands at one.
  bool take_line_break() {
    if (at_end() || (here() != '\r' && here() != '\n')) return false;
    at_ += file_.text().substr(at_, 2) == "\r\n" ? 2 : 1;
    ++line_;
    return true;
  }

  bool read_row() {
    while (take_line_break()) {  // blank lines
    }
    if (at_end()) return false;
    row_line_ = line_;
    fields_.clear();
    while (true) {
      fields_.push_back(!at_end() && here() == '"' ? read_quoted() : read_plain());
      check_utf8(fields_.back());
      if (at_end() || take_line_break()) return true;
      ++at_;  // the comma
    }
  }

  std::string read_plain() {
    const size_t begin = at_;
    at_ = std::min(file_.text().find_first_of(",\r\n", at_), file_.size());
    return std::string(file_.text().substr(begin, at_ - begin));
  }

  std::string read_quoted() {
    const int64_t opened = line_;
    std::string field;
    ++at_;
    while (true) {
      if (at_end()) fail_at(opened, "a quoted field is never closed");
      const char letter = here();
      ++at_;
      if (letter == '"') {
        if (at_end() || here() != '"') break;
        ++at_;
      } else if (letter == '\n' || (letter == '\r' && (at_end() || here() != '\n'))) {
        ++line_;
      }
      field += letter;
    }
    if (!at_end() && here() != ',' && here() != '\r' && here() != '\n') {
      fail_at(line_,
              "wanted a comma or the end of the line after a closing quote (a quote within a field is written \"\")");
    }
    return field;
  }

  void check_utf8(const std::string& field) const {
    try {
      if (std::any_of(field.begin(), field.end(), [](char c) { return (c & 0x80) != 0; })) {
        static_cast<void>(nlohmann::json(field).dump());
      }
    } catch (const nlohmann::json::type_error&) {
      fail("a field is not UTF-8; convert the file, e.g. with iconv -f latin1 -t utf-8");
    }
  }

  core::MappedFile file_;
  size_t at_;
  int64_t line_ = 1;
  int64_t row_line_ = 1;
  std::vector<std::string> names_;
  std::vector<std::string> fields_;
};

}  // namespace

std::unique_ptr<RecordReader::Format> open_csv(const std::string& path) { return std::make_unique<CsvFormat>(path); }

}  // namespace txtsum::data
