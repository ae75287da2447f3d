#include "txtsum/app/html_text.h"

#include <gtest/gtest.h>

namespace txtsum::tests {
namespace {

using app::beginning_of;
using app::escape_html;

TEST(HtmlText, MarkupBecomesText) {
  EXPECT_EQ(escape_html("<script>alert('1') & \"2\"</script>"),
            "&lt;script&gt;alert(&#39;1&#39;) &amp; &quot;2&quot;&lt;/script&gt;");
  EXPECT_EQ(escape_html("&amp;"), "&amp;amp;");
}

TEST(HtmlText, TextOfAnyScriptStaysAsItIs) {
  const std::string text = "caf\xC3\xA9 \xE4\xB8\xAD\xE6\x96\x87 \xF0\x9F\x98\x80\nline";
  EXPECT_EQ(escape_html(text), text);
}

TEST(HtmlText, WhatIsNoCharacterOfHtmlIsReplaced) {
  const std::string replacement = "\xEF\xBF\xBD";
  EXPECT_EQ(escape_html(std::string("a\0b", 3)), "a" + replacement + "b");
  EXPECT_EQ(escape_html("\x1B[0m"), replacement + "[0m");
  EXPECT_EQ(escape_html("\xC3"), replacement);                                      // cut off
  EXPECT_EQ(escape_html("\xC0\xBC"), replacement + replacement);                    // an overlong <
  EXPECT_EQ(escape_html("\xED\xA0\x80"), replacement + replacement + replacement);  // a surrogate
  EXPECT_EQ(escape_html("\xF5\x80\x80\x80x").substr(4 * replacement.size()), "x");  // beyond Unicode
  EXPECT_EQ(escape_html("\xE4\xB8<"), replacement + replacement + "&lt;");          // < does not hide in a sequence
}

TEST(HtmlText, ElementsNest) {
  EXPECT_EQ(app::element("p", "class=\"x\"", app::element("b", "", "y")), "<p class=\"x\"><b>y</b></p>");
}

TEST(HtmlText, ABeginningEndsBetweenWords) {
  EXPECT_EQ(beginning_of("  a short text \n", 40), "a short text");
  EXPECT_EQ(beginning_of("one two three four", 10), "one two\xE2\x80\xA6");
  EXPECT_EQ(beginning_of("one two three four", 7), "one two\xE2\x80\xA6");
  EXPECT_EQ(beginning_of("", 10), "");
  EXPECT_EQ(beginning_of(" \n ", 10), "");
}

TEST(HtmlText, ABeginningWithoutBlanksEndsBetweenCharacters) {
  EXPECT_EQ(beginning_of("\xE4\xB8\xAD\xE6\x96\x87\xE4\xB8\xAD\xE6\x96\x87", 3),
            "\xE4\xB8\xAD\xE6\x96\x87\xE4\xB8\xAD\xE2\x80\xA6");
}

}  // namespace
}  // namespace txtsum::tests
