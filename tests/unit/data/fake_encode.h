#pragma once

#include <algorithm>
#include <sstream>
#include <string>

#include "txtsum/data/encode.h"

namespace txtsum::data {

/// A tokenizer of words: the id is the word's length, between 0 and 2 as special ids.
inline Encoded encode_words(std::string_view text, int64_t max_tokens) {
  Encoded made{{0}, 0};
  std::istringstream words{std::string(text)};
  for (std::string word; words >> word;) made.ids.push_back(static_cast<int32_t>(word.size()) + 10);
  made.full_length = static_cast<int64_t>(made.ids.size()) + 1;
  made.ids.resize(static_cast<size_t>(std::min(max_tokens, made.full_length) - 1));
  made.ids.push_back(2);
  return made;
}

}  // namespace txtsum::data
