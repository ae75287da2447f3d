#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace txtsum::core {

/// Bytes at the front of `text` that are well-formed UTF-8: all of them, or those before the first byte that is not.
size_t valid_utf8_bytes(std::string_view text);

/// `text` with every byte that is not part of well-formed UTF-8 written as \xNN: what a message may quote of a file.
std::string printable_utf8(std::string_view text);

}  // namespace txtsum::core
