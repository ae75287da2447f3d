#pragma once

#include <string>
#include <vector>

namespace txtsum::io {

/// Names, relative to `folder` and sorted, of the files that a checkpoint's checksum list covers: all but the list
/// itself and DONE. Throws DataError on anything that is neither a file nor a folder.
std::vector<std::string> files_of_checkpoint(const std::string& folder);

/// Removes a folder, DONE first; nothing when it does not exist. Throws DataError.
void remove_checkpoint_folder(const std::string& folder);

}  // namespace txtsum::io
