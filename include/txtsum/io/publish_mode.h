#pragma once

namespace txtsum::io {

/// How a finished file or folder gets its final name.
enum class PublishMode {
  kRename,   ///< Written under a temporary name and renamed: a reader sees all or nothing.
  kInPlace,  ///< Written under the final name: for mounts where a rename is a copy or is refused (Azure's blob mounts).
};

}  // namespace txtsum::io
