#include "record_format.h"
#include "txtsum/core/error.h"
#include "txtsum/core/file.h"
#include "txtsum/core/json.h"

namespace txtsum::data {
namespace {

class JsonLinesFormat : public RecordReader::Format {
 public:
  explicit JsonLinesFormat(const std::string& path) : file_(path), at_(skip_byte_order_mark(file_.text())) {
    if (!read_row()) throw core::DataError(path + ": no row; wanted one JSON object a line");
    has_unused_row_ = true;
  }

  const std::string& path() const override { return file_.path(); }
  int64_t line() const override { return line_; }

  std::vector<std::string> names() const override {
    std::vector<std::string> names;
    for (const auto& [name, value] : row_.items()) names.push_back(name);
    return names;
  }

  bool advance() override {
    if (has_unused_row_) {  // the one that the constructor read to learn the names
      has_unused_row_ = false;
      return true;
    }
    return read_row();
  }

  std::string field(const std::string& name, bool allow_integer) const override {
    const auto found = row_.find(name);
    if (found == row_.end()) fail("no column '" + name + "'; found " + quoted_list(names()));
    if (found->is_string()) return found->get<std::string>();
    if (allow_integer && found->is_number_integer()) return found->dump();
    fail("column '" + name + "': wanted a string, found " + (found->is_null() ? "null" : found->type_name()));
  }

 private:
  [[noreturn]] void fail(const std::string& reason) const {
    throw core::DataError(path() + ":" + std::to_string(line_) + ": " + reason);
  }

  bool read_row() {
    const std::string_view text = file_.text();
    while (at_ < text.size()) {
      const size_t end = std::min(text.find('\n', at_), text.size());
      const std::string_view line = text.substr(at_, end - at_);
      at_ = end + 1;
      ++line_;
      if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
      parse(line);
      return true;
    }
    return false;
  }

  void parse(std::string_view line) {
    try {
      row_ = nlohmann::json::parse(line);
    } catch (const nlohmann::json::exception& error) {
      const bool is_document =
          line_ == 1 && (line[line.find_first_not_of(" \t")] == '[' || line == "{" || line == "{\r");
      fail(std::string("not a line of valid JSON: ") + error.what() + (is_document ? kOneDocument : ""));
    }
    if (row_.is_array() && line_ == 1) fail(std::string("wanted a JSON object, found an array") + kOneDocument);
    if (!row_.is_object()) fail(std::string("wanted a JSON object, found ") + row_.type_name());
  }

  static constexpr const char* kOneDocument =
      "; one JSON document of many lines is not read: make it lines, e.g. with jq -c '.[]' FILE";

  core::MappedFile file_;
  size_t at_;
  int64_t line_ = 0;
  nlohmann::json row_;
  bool has_unused_row_ = false;
};

}  // namespace

std::unique_ptr<RecordReader::Format> open_json_lines(const std::string& path) {
  return std::make_unique<JsonLinesFormat>(path);
}

}  // namespace txtsum::data
