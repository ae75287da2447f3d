#pragma once

#include <string>
#include <string_view>

namespace txtsum::metrics {

/// Stem of `word` by Porter's algorithm (Porter, "An algorithm for suffix stripping", 1980) with the extensions that
/// NLTK's PorterStemmer has by default: a table of irregular forms, words of one or two letters left alone, and changed
/// rules for -ies, -ied, -y, -alli, -bli, -fulli and -logi. This is the stemmer that rouge_score uses. `word` is lower
/// case ASCII letters and digits; a digit counts as a consonant.
std::string porter_stem(std::string_view word);

}  // namespace txtsum::metrics
