#include "txtsum/core/check.h"

#include "txtsum/core/error.h"

namespace txtsum::core {

void fail_check(const char* expression, const char* file, int line, const std::string& values) {
  std::string text = std::string("check failed: ") + expression;
  if (!values.empty()) text += " (" + values + ")";
  throw InternalError(text + " at " + file + ":" + std::to_string(line));
}

}  // namespace txtsum::core
