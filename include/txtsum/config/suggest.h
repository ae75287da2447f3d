#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace txtsum::config {

/// The candidate that `word` is most likely a misspelling of: the least number of edits (insert, delete, replace, swap
/// of neighbours), at most a third of the word's length. Nothing where none is close.
std::optional<std::string> closest_word(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace txtsum::config
