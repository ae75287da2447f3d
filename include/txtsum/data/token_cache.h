#pragma once

#include <functional>
#include <optional>
#include <string>

#include "txtsum/data/token_table.h"

namespace txtsum::data {

/// Where the table of `key` (32 hexadecimal digits) lies in the cache's folder.
std::string token_cache_path(const std::string& folder, const std::string& key);

/// Maps a cached table. Nothing when there is none; a file that is damaged, or of another key or version, gives a
/// warning and nothing. The whole file is read once, to compare its checksum.
std::optional<TokenTable> open_token_cache(const std::string& folder, const std::string& key);

/// Writes a table under a temporary name and renames it, so that several processes may build the same one: each reader
/// sees a whole file. Returns the mapped table. Throws DataError, which says to empty `data.cache` where the folder
/// cannot be written.
TokenTable write_token_cache(const std::string& folder, const std::string& key, const TokenTable& table);

/// The cached table of `key`, or `build()`'s, which is then cached. An empty `folder` means no cache. `was_cached` says
/// which it was.
TokenTable open_or_build_token_cache(const std::string& folder, const std::string& key,
                                     const std::function<TokenTable()>& build, bool& was_cached);

}  // namespace txtsum::data
