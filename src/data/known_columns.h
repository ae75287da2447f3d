#pragma once

#include <string>
#include <vector>

#include "txtsum/data/record_reader.h"

namespace txtsum::data {

/// Fills in source and target of `choice` from the known pairs, by the names of a file's columns. `where` begins error
/// texts. Throws DataError when the names have no known pair, or two that are equally good.
void find_known_columns(const std::vector<std::string>& names, bool wants_target, const std::string& where,
                        ColumnChoice& choice);

}  // namespace txtsum::data
