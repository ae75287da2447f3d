#pragma once

namespace txtsum::core {

/// What this binary was made from; fixed at configure time.
struct BuildInfo {
  const char* version;
  const char* build_type;
  const char* compiler;
  const char* libtorch_version;
};

const BuildInfo& build_info();

}  // namespace txtsum::core
