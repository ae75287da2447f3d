#include "txtsum/core/json.h"

#include "txtsum/core/error.h"
#include "txtsum/core/file.h"

namespace txtsum::core {

std::string to_pretty_text(const Json& value) {
  return value.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string to_line(const Json& value) { return value.dump(-1, ' ', false, Json::error_handler_t::replace); }

Json read_json_file(const std::string& path) {
  const std::string text = read_file(path);
  try {
    return Json::parse(text);
  } catch (const Json::parse_error& error) {
    throw DataError(path + ": not valid JSON at byte " + std::to_string(error.byte) + ": " + error.what());
  }
}

}  // namespace txtsum::core
