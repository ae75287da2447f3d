#pragma once

#include <string>
#include <string_view>

namespace txtsum::text {

/// The printable character that stands for `byte` in byte-level vocabularies (GPT-2's bytes_to_unicode), as UTF-8.
const std::string& byte_symbol(unsigned char byte);

/// Writes `bytes` in that alphabet: " the" becomes "Ġthe".
std::string to_byte_symbols(std::string_view bytes);

/// Bytes that `token` stands for. A token with a character outside the alphabet stands for its own UTF-8 bytes, as in
/// Hugging Face's ByteLevel decoder.
std::string from_byte_symbols(std::string_view token);

/// `bytes` with each ill-formed part (a maximal subpart in Unicode's sense) replaced by U+FFFD.
std::string to_valid_utf8(std::string_view bytes);

}  // namespace txtsum::text
