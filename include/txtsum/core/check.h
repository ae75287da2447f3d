#pragma once

#include <sstream>
#include <string>

namespace txtsum::core {

/// Throws InternalError with the failed expression, `values` and the source line.
[[noreturn]] void fail_check(const char* expression, const char* file, int line, const std::string& values);

template <typename... Values>
std::string join_values(const Values&... values) {
  std::ostringstream out;
  ((out << values), ...);
  return out.str();
}

}  // namespace txtsum::core

/// Checks an invariant that no user can break. Further arguments are streamed into the message:
/// TXTSUM_CHECK(rows == n, "rows ", rows, " n ", n).
#define TXTSUM_CHECK(condition, ...)                                                                        \
  do {                                                                                                      \
    if (!(condition)) {                                                                                     \
      ::txtsum::core::fail_check(#condition, __FILE__, __LINE__, ::txtsum::core::join_values(__VA_ARGS__)); \
    }                                                                                                       \
  } while (false)
