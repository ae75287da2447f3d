#pragma once

#include <string_view>
#include <vector>

namespace txtsum::metrics {

/// Splits English text into sentences by rule; no model, no state. Sentences are views into `text` without white space
/// at either end; their order is the text's, nothing but white space is left out, and empty text gives none. UTF-8.
///
/// A word here is a stretch without white space. A sentence ends after a word that ends in a mark ('.', '?', '!',
/// U+2026), where closing quotes and brackets after the mark belong to the word, unless one of these holds for it and
/// the next word:
///  1. A quote or bracket closes after the mark and the next word starts in lower case: "Why?" he asked.
///  2. The mark is an ellipsis ("..", "...", U+2026) and the next word does not start with a capital or a digit.
///  3. The mark is one '.', and the word, without opening quotes and brackets, is
///     a. a number at the start of a sentence (1. First), or an item's small letter there (a. First);
///     b. a title or an abbreviation that a word always follows: Mr. Dr. Gen. St. vs. e.g. cf. and so on;
///     c. an abbreviation of a number that a digit follows: No. 5, p. 12, Fig. 3, Nov. 3;
///     d. an initial (one capital letter), a word with a '.' inside (U.S., p.m., Ph.D.) or an abbreviation that can end
///     a
///        sentence (Inc., Jr., Corp., etc., months): unless the next word is a capitalised frequent opener of sentences
///        (The, He, In, But, ...).
/// A mark inside a word (3.14, example.org) ends nothing.
std::vector<std::string_view> split_sentences(std::string_view text);

}  // namespace txtsum::metrics
