#include "json_rows.h"

#include <algorithm>

#include "txtsum/core/error.h"
#include "txtsum/core/parse_json.h"

namespace txtsum::data {
std::vector<std::string> JsonRows::names() const {
  std::vector<std::string> names;
  for (const auto& [name, value] : row_.items()) names.push_back(name);
  return names;
}

bool JsonRows::advance() {
  if (has_unused_row_) {
    has_unused_row_ = false;
    return true;
  }
  return read_row();
}

std::string JsonRows::field(const std::string& name, bool allow_integer) const {
  const auto found = row_.find(name);
  if (found == row_.end()) fail_at(line_, "no column '" + name + "'; found " + quoted_list(names()));
  if (found->is_string()) return found->get<std::string>();
  if (allow_integer && found->is_number_integer()) return found->dump();
  fail_at(line_, "column '" + name + "': wanted a string, found " + (found->is_null() ? "null" : found->type_name()));
}

void JsonRows::read_first_row(const std::string& wanted) {
  if (!read_row()) throw core::DataError(path() + ": no row; wanted " + wanted);
  has_unused_row_ = true;
}

void JsonRows::set_row(std::string_view text, int64_t line, const std::string& hint) {
  line_ = line;
  try {
    row_ = nlohmann::json::parse(text);
  } catch (const nlohmann::json::parse_error& error) {
    const size_t at = std::min(error.byte, text.size());
    const auto lines = std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), '\n');
    const std::string place = lines == 0 ? "at byte " + std::to_string(error.byte) + " of the row"
                                         : "on line " + std::to_string(line + lines);
    fail_at(line, "not valid JSON " + place + ": " + core::json_reason(error.what()) + hint);
  } catch (const nlohmann::json::out_of_range& error) {
    fail_at(line, "a number that is out of range: " + core::json_reason(error.what()));
  }
  if (!row_.is_object()) fail_at(line, std::string("wanted a JSON object, found ") + row_.type_name() + hint);
}

void JsonRows::fail_at(int64_t line, const std::string& reason) const {
  throw core::DataError(path() + ":" + std::to_string(line) + ": " + reason);
}

}  // namespace txtsum::data
