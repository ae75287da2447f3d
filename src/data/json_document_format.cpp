#include <string>

#include "json_cursor.h"
#include "json_rows.h"

namespace txtsum::data {
namespace {

bool is_array_of_objects(std::string_view value) {
  const size_t first = value.find_first_not_of(" \t\r\n", 1);
  return value[0] == '[' && first != std::string_view::npos && value[first] == '{';
}

/// A cursor behind the bracket that opens the array of rows; nothing when the text is no document of rows. An object is
/// gone through to its end, since a second array of objects makes it a guess which one is meant. Its other values are
/// parsed here and the array's when it is read.
std::optional<JsonCursor> find_rows(std::string_view text) {
  JsonCursor cursor(text, skip_byte_order_mark(text));
  cursor.skip_space();
  if (cursor.take('[')) return cursor;
  if (!cursor.take('{')) return std::nullopt;
  std::optional<JsonCursor> rows;
  do {
    const auto key = cursor.take_value();
    cursor.skip_space();
    if (!key || !nlohmann::json::accept(*key) || !cursor.take(':')) return std::nullopt;
    JsonCursor begin = cursor;
    const auto value = cursor.take_value();
    if (!value || value->empty()) return std::nullopt;
    if (is_array_of_objects(*value)) {
      if (rows) return std::nullopt;
      begin.take('[');
      rows = begin;
    } else if (!nlohmann::json::accept(*value)) {
      return std::nullopt;
    }
    cursor.skip_space();
  } while (cursor.take(','));
  return cursor.take('}') && cursor.at_end() ? rows : std::nullopt;
}

/// One JSON document: an array of objects, or an object that holds one.
class JsonDocumentFormat : public JsonRows {
 public:
  JsonDocumentFormat(core::MappedFile opened, const JsonCursor& rows) : JsonRows(std::move(opened)), cursor_(rows) {
    const std::string_view text = file().text();
    is_bare_array_ = text[text.find_first_not_of(" \t\r\n", skip_byte_order_mark(text))] == '[';
    read_first_row("an object in the array");
  }

  const char* format_name() const override { return "JSON document"; }

 private:
  bool read_row() override {
    if (ended_) return false;
    if (take_end(/*is_first=*/rows_read_ == 0)) return false;
    const int64_t line = cursor_.line();
    const auto row = cursor_.take_value();
    if (!row) fail_at(line, "the file ends within the row that begins here");
    set_row(*row, line, "");
    cursor_.skip_space();
    ++rows_read_;
    return true;
  }

  /// Goes past what is before the next row; true when it is the end of the array instead.
  bool take_end(bool is_first) {
    if (!cursor_.take(']')) {
      if (is_first || cursor_.take(',')) return false;
      fail_at(cursor_.line(), cursor_.at_end()
                                  ? "the file ends within the array"
                                  : std::string("wanted a comma or ] after a row, found '") + cursor_.here() + "'");
    }
    ended_ = true;
    if (is_bare_array_ && !cursor_.at_end()) {
      fail_at(cursor_.line(), "wanted the end of the file after the array's ]");
    }
    return true;
  }

  JsonCursor cursor_;
  bool is_bare_array_ = false;
  int64_t rows_read_ = 0;
  bool ended_ = false;
};

}  // namespace

std::unique_ptr<RecordReader::Format> open_json(core::MappedFile file) {
  const auto rows = find_rows(file.text());
  if (!rows) return open_json_lines(std::move(file));
  return std::make_unique<JsonDocumentFormat>(std::move(file), *rows);
}

}  // namespace txtsum::data
