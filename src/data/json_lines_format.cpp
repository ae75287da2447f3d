#include <algorithm>

#include "json_rows.h"

namespace txtsum::data {
namespace {

class JsonLinesFormat : public JsonRows {
 public:
  explicit JsonLinesFormat(core::MappedFile opened)
      : JsonRows(std::move(opened)), at_(skip_byte_order_mark(file().text())) {
    read_first_row("one JSON object a line");
  }

  const char* format_name() const override { return "JSON lines"; }

 private:
  bool read_row() override {
    const std::string_view text = file().text();
    while (at_ < text.size()) {
      const size_t end = std::min(text.find('\n', at_), text.size());
      const std::string_view line = text.substr(at_, end - at_);
      at_ = end + 1;
      ++line_number_;
      if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
      set_row(line, line_number_, may_be_document(line) ? kOneDocument : "");
      return true;
    }
    return false;
  }

  /// Whether the file looks like one JSON document instead of lines.
  bool may_be_document(std::string_view line) const {
    return line_number_ == 1 && (line[line.find_first_not_of(" \t")] == '[' || line == "{" || line == "{\r");
  }

  static constexpr const char* kOneDocument =
      "; one JSON document is read where the file's name ends in .json and it is an array of objects, or an object of "
      "which exactly one value is an array of objects; else make it lines, e.g. with jq -c '.[]' FILE";

  size_t at_;
  int64_t line_number_ = 0;
};

}  // namespace

std::unique_ptr<RecordReader::Format> open_json_lines(core::MappedFile file) {
  return std::make_unique<JsonLinesFormat>(std::move(file));
}

}  // namespace txtsum::data
