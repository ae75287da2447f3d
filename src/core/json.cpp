#include "txtsum/core/parse_json.h"

#include <algorithm>

#include "txtsum/core/error.h"
#include "txtsum/core/file.h"

namespace txtsum::core {
namespace {

constexpr int kDeepest = 500;

/// Throws where a bracket opens too deep a level.
void check_depth(std::string_view text, const std::string& path) {
  int depth = 0;
  bool quoted = false;
  for (size_t at = 0; at < text.size(); ++at) {
    const char letter = text[at];
    if (letter == '"') quoted = !quoted;
    if (quoted) {
      at += letter == '\\' ? 1 : 0;
    } else if (letter == '[' || letter == '{') {
      if (++depth <= kDeepest) continue;
      throw DataError(path + ": byte " + std::to_string(at + 1) + ": JSON nested more than " +
                      std::to_string(kDeepest) + " levels deep");
    } else if (letter == ']' || letter == '}') {
      depth = std::max(0, depth - 1);
    }
  }
}

}  // namespace

std::string json_reason(std::string_view what) {
  constexpr std::string_view kName = "] ", kPlace = ": ", kRead = "; last read: ";
  constexpr size_t kMostRead = 60;
  if (const size_t name = what.find(kName); name != std::string_view::npos) what.remove_prefix(name + kName.size());
  if (const size_t place = what.find(kPlace); what.starts_with("parse error") && place != std::string_view::npos) {
    what.remove_prefix(place + kPlace.size());
  }
  const size_t read = what.rfind(kRead);
  if (read != std::string_view::npos && what.size() - read > kMostRead) what = what.substr(0, read);
  return std::string(what);
}

std::string to_pretty_text(const Json& value) {
  return value.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string to_line(const Json& value) { return value.dump(-1, ' ', false, Json::error_handler_t::replace); }

template <typename AnyJson>
AnyJson parse_json(std::string_view text, const std::string& path) {
  check_depth(text, path);
  try {
    return AnyJson::parse(text);
  } catch (const typename AnyJson::parse_error& error) {
    throw DataError(path + ": not valid JSON at byte " + std::to_string(error.byte) + ": " + json_reason(error.what()));
  } catch (const typename AnyJson::out_of_range& error) {
    throw DataError(path + ": a number in the JSON is out of range: " + json_reason(error.what()));
  }
}

template Json parse_json<Json>(std::string_view, const std::string&);
template nlohmann::json parse_json<nlohmann::json>(std::string_view, const std::string&);

Json read_json_file(const std::string& path) { return parse_json(read_file(path), path); }

}  // namespace txtsum::core
