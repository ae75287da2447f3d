#pragma once

#include <string>

namespace txtsum::io {

/// Renames `folder` to `target`, a neighbour of it, in place of what is there: the two names are exchanged in one call
/// where the file system can, then the old folder is deleted; elsewhere it is deleted first. Throws DataError; where
/// the mount refuses to rename a folder, the text says which mode of publishing to choose.
void replace_folder(const std::string& folder, const std::string& target);

}  // namespace txtsum::io
