#include "txtsum/io/replace_folder.h"

#include <fcntl.h>
#include <stdio.h>  // renameat2 is not in <cstdio>'s namespace

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "checkpoint_files.h"
#include "txtsum/core/error.h"
#include "txtsum/core/file.h"

namespace txtsum::io {
namespace fs = std::filesystem;

void replace_folder(const std::string& folder, const std::string& target) {
  if (::rename(folder.c_str(), target.c_str()) != 0) {
    const bool occupied = errno == EEXIST || errno == ENOTEMPTY;
    if (occupied) {
      // Exchanging the two names leaves no moment without a whole folder of this name.
      if (::renameat2(AT_FDCWD, folder.c_str(), AT_FDCWD, target.c_str(), RENAME_EXCHANGE) == 0) {
        remove_checkpoint_folder(folder);
      } else {
        remove_checkpoint_folder(target);
      }
    }
    if (fs::exists(folder) && ::rename(folder.c_str(), target.c_str()) != 0) {
      throw core::DataError(
          folder + ": cannot rename folder to " + target + ": " + std::strerror(errno) +
          "; on a mount that cannot rename folders (Azure's blob mounts), choose publishing in place");
    }
  }
  const std::string parent = fs::path(target).parent_path().string();
  core::sync_path(parent.empty() ? "." : parent);
}

}  // namespace txtsum::io
