#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace txtsum::app {

/// Makes any text safe inside an element and inside a quoted attribute: `&`, `<`, `>` and both quotes become entities,
/// bytes that are no UTF-8 and characters that HTML does not allow become U+FFFD.
std::string escape_html(std::string_view text);

/// `<name attributes>content</name>`; `attributes` and `content` are markup already.
std::string element(std::string_view name, std::string_view attributes, std::string_view content);

/// The beginning of `text`, of at most `characters` code points, cut between words where there are any, with an
/// ellipsis where something is left out. White space at its ends is dropped.
std::string beginning_of(std::string_view text, size_t characters);

}  // namespace txtsum::app
