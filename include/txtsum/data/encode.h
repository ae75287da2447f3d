#pragma once

#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "txtsum/text/tokenizer.h"

namespace txtsum::data {

/// A text's token ids.
struct Encoded {
  std::vector<int32_t> ids;  ///< Special tokens included, cut to the limit.
  int64_t full_length = 0;   ///< Number of ids without the limit.
};

/// Turns a text into at most `max_tokens` ids. Called from several threads at once.
using Encode = std::function<Encoded(std::string_view text, int64_t max_tokens)>;

/// Encodes with `tokenizer`, which must outlive the function.
inline Encode encode_with(const text::Tokenizer& tokenizer) {
  return [&tokenizer](std::string_view text, int64_t max_tokens) {
    text::TruncatedIds cut = tokenizer.encode_truncated(text, static_cast<size_t>(max_tokens));
    return Encoded{std::move(cut.ids), static_cast<int64_t>(cut.full_length)};
  };
}

}  // namespace txtsum::data
