#pragma once

#include <cstddef>
#include <string_view>

namespace txtsum::text {

/// Settings of the ByteLevel pre-tokenizer. Its third setting, trim_offsets, moves offsets only, never ids.
struct PreTokenizer {
  /// A piece that does not start with a space gets one before it.
  bool add_prefix_space = false;
  /// Whether a piece is cut into words by the GPT-2 pattern; if not, it is one word.
  bool use_regex = true;
};

/// End of the word that starts at `text[start]` by the GPT-2 pattern, whose alternatives are tried in this order:
/// `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`. `start` must be less than text.size(),
/// and the end of the word before, or 0.
size_t word_end(std::string_view text, size_t start);

}  // namespace txtsum::text
