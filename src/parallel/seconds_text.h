#pragma once

#include <string>

namespace txtsum::parallel {

/// `60 s`, `0.5 s`.
inline std::string seconds_text(double seconds) {
  std::string text = std::to_string(seconds);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text + " s";
}

}  // namespace txtsum::parallel
