#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "text/tokenizer_definition.h"

namespace txtsum::text {

/// The ByteLevel decoder: ids to text.
class ByteLevelDecoder {
 public:
  explicit ByteLevelDecoder(const TokenizerDefinition& definition);

  std::string decode(std::span<const int32_t> ids, bool skip_special_tokens) const;
  bool is_special(int32_t id) const { return id >= 0 && id < size() && special_[id] != 0; }

 private:
  int32_t size() const { return static_cast<int32_t>(bytes_.size()); }

  /// By id: the bytes that a token stands for (none where the id is a hole), and whether it is special.
  std::vector<std::string> bytes_;
  std::vector<uint8_t> special_;
  bool clean_up_spaces_;
};

/// transformers' clean_up_tokenization: takes the space away before `. ? ! ,` and English contractions.
std::string clean_up_spaces(std::string text);

}  // namespace txtsum::text
