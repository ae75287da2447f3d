#include <algorithm>
#include <set>

#include "record_format.h"
#include "txtsum/core/error.h"
#include "txtsum/core/file.h"

namespace txtsum::data {
namespace {

/// RFC 4180 with any separator. A quote inside an unquoted field is taken as it is, and a lone CR ends a row, as in
/// Python's csv module.
class CsvFormat : public RecordReader::Format {
 public:
  CsvFormat(core::MappedFile file, char separator)
      : file_(std::move(file)), separator_(separator), at_(skip_byte_order_mark(file_.text())) {
    if (!read_row()) throw core::DataError(path() + ": no row; wanted a header row of column names");
    names_ = fields_;
    std::set<std::string_view> seen;
    for (size_t i = 0; i < names_.size(); ++i) {
      if (names_[i].empty()) fail("column " + std::to_string(i + 1) + " of the header row has no name" + kIndexHint);
      if (!seen.insert(names_[i]).second) fail("column '" + names_[i] + "' is there twice");
    }
  }

  const std::string& path() const override { return file_.path(); }
  std::vector<std::string> names() const override { return names_; }
  const char* format_name() const override { return separator_ == ',' ? "CSV" : "TSV"; }
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
  [[noreturn]] void fail(const std::string& reason) const {
    throw core::DataError(path() + ":" + std::to_string(row_line_) + ": " + reason);
  }
  /// The field that is being read, for messages.
  std::string field_number() const { return "field " + std::to_string(fields_.size() + 1); }
  /// ` (on line N)` where it is not the line that a message begins with.
  std::string on_line(int64_t line) const { return line == row_line_ ? "" : " (on line " + std::to_string(line) + ")"; }

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
      ++at_;  // the separator
    }
  }

  std::string read_plain() {
    const size_t begin = at_;
    at_ = std::min(file_.text().find_first_of(ends_, at_, sizeof(ends_)), file_.size());
    return std::string(file_.text().substr(begin, at_ - begin));
  }

  std::string read_quoted() {
    const int64_t opened = line_;
    std::string field;
    ++at_;
    while (true) {
      if (at_end()) fail("the quote of " + field_number() + on_line(opened) + " is never closed");
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
    if (!at_end() && here() != separator_ && here() != '\r' && here() != '\n') {
      fail(std::string("wanted a ") + (separator_ == ',' ? "comma" : "tab") +
           " or the end of the line after the closing quote of " + field_number() + on_line(line_) +
           "; a quote within a quoted field is written \"\"");
    }
    return field;
  }

  void check_utf8(const std::string& field) const {
    if (!is_utf8(field)) fail("a field is not UTF-8; convert the file, e.g. with iconv -f latin1 -t utf-8");
  }

  // pandas writes its row numbers as such a column
  static constexpr const char* kIndexHint = "; name it, or leave it out (with pandas: to_csv(..., index=False))";

  core::MappedFile file_;
  char separator_;
  char ends_[3] = {separator_, '\r', '\n'};  // of an unquoted field
  size_t at_;
  int64_t line_ = 1;
  int64_t row_line_ = 1;
  std::vector<std::string> names_;
  std::vector<std::string> fields_;
};

}  // namespace

std::unique_ptr<RecordReader::Format> open_csv(core::MappedFile file) {
  return std::make_unique<CsvFormat>(std::move(file), ',');
}
std::unique_ptr<RecordReader::Format> open_tsv(core::MappedFile file) {
  return std::make_unique<CsvFormat>(std::move(file), '\t');
}

}  // namespace txtsum::data
