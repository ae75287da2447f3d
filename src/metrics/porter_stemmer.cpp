#include "txtsum/metrics/porter_stemmer.h"

#include <array>
#include <vector>

namespace txtsum::metrics {
namespace {

using View = std::string_view;

bool is_vowel_letter(char c) { return c == 'a' || c == 'e' || c == 'i' || c == 'o' || c == 'u'; }

// One flag a letter. A 'y' is a consonant at the start of the word and after a vowel.
std::vector<char> consonant_flags(View word) {
  std::vector<char> flags(word.size());
  for (size_t i = 0; i < word.size(); ++i) {
    flags[i] = word[i] == 'y' ? (i == 0 || !flags[i - 1]) : !is_vowel_letter(word[i]);
  }
  return flags;
}

// Porter's m: how often a vowel is followed by a consonant.
int measure(View stem) {
  const std::vector<char> flags = consonant_flags(stem);
  int count = 0;
  for (size_t i = 1; i < flags.size(); ++i) count += !flags[i - 1] && flags[i];
  return count;
}

bool contains_vowel(View stem) {
  for (const char consonant : consonant_flags(stem)) {
    if (!consonant) return true;
  }
  return false;
}

bool ends_with_consonant(View word) { return !word.empty() && consonant_flags(word).back(); }

bool ends_with_double_consonant(View word) {
  return word.size() >= 2 && word[word.size() - 1] == word[word.size() - 2] && ends_with_consonant(word);
}

// Porter's *o (consonant, vowel, consonant other than w, x, y), or NLTK's addition: a word of a vowel and a consonant.
bool ends_like_hop(View word) {
  const std::vector<char> flags = consonant_flags(word);
  const size_t n = word.size();
  if (n == 2) return !flags[0] && flags[1];
  return n >= 3 && flags[n - 3] && !flags[n - 2] && flags[n - 1] && View("wxy").find(word[n - 1]) == View::npos;
}

View without_suffix(View word, size_t length) { return word.substr(0, word.size() - length); }

struct Rule {
  View suffix;
  View replacement;
};

// Applies the first rule whose suffix fits, if the rest's measure exceeds `above`; later rules are not tried.
template <size_t N>
void apply_first_rule(std::string& word, const std::array<Rule, N>& rules, int above) {
  for (const Rule& rule : rules) {
    if (!word.ends_with(rule.suffix)) continue;
    const View stem = without_suffix(word, rule.suffix.size());
    if (measure(stem) > above) word.replace(stem.size(), rule.suffix.size(), rule.replacement);
    return;
  }
}

// Plurals.
void step_1a(std::string& word) {
  if (word.ends_with("ies")) {
    word.resize(word.size() - (word.size() == 4 ? 1 : 2));  // dies -> die, but flies -> fli
  } else if (word.ends_with("sses")) {
    word.resize(word.size() - 2);
  } else if (word.ends_with("s") && !word.ends_with("ss")) {
    word.pop_back();
  }
}

// What is left after -ed or -ing gets back its e or loses a doubled letter.
void repair_after_step_1b(std::string& word) {
  if (word.ends_with("at") || word.ends_with("bl") || word.ends_with("iz")) {
    word += 'e';
  } else if (ends_with_double_consonant(word)) {
    if (View("lsz").find(word.back()) == View::npos) word.pop_back();
  } else if (measure(word) == 1 && ends_like_hop(word)) {
    word += 'e';
  }
}

// Past tenses and -ing forms.
void step_1b(std::string& word) {
  if (word.ends_with("ied")) {
    word.resize(word.size() - (word.size() == 4 ? 1 : 2));  // died -> die, but spied -> spi
    return;
  }
  if (word.ends_with("eed")) {
    if (measure(without_suffix(word, 3)) > 0) word.pop_back();
    return;
  }
  for (const View suffix : {View("ed"), View("ing")}) {
    if (!word.ends_with(suffix) || !contains_vowel(without_suffix(word, suffix.size()))) continue;
    word.resize(word.size() - suffix.size());
    repair_after_step_1b(word);
    return;
  }
}

// NLTK's condition: a consonant before the y, and more than that one letter.
void step_1c(std::string& word) {
  if (word.size() > 2 && word.back() == 'y' && ends_with_consonant(without_suffix(word, 1))) word.back() = 'i';
}

void step_2(std::string& word) {
  static constexpr std::array<Rule, 20> kRules{
      {{"ational", "ate"}, {"tional", "tion"}, {"enci", "ence"}, {"anci", "ance"},   {"izer", "ize"},
       {"bli", "ble"},     {"entli", "ent"},   {"eli", "e"},     {"ousli", "ous"},   {"ization", "ize"},
       {"ation", "ate"},   {"ator", "ate"},    {"alism", "al"},  {"iveness", "ive"}, {"fulness", "ful"},
       {"ousness", "ous"}, {"aliti", "al"},    {"iviti", "ive"}, {"biliti", "ble"},  {"fulli", "ful"}}};
  if (word.ends_with("alli")) {
    if (measure(without_suffix(word, 4)) == 0) return;
    word.resize(word.size() - 2);
    step_2(word);
  } else if (word.ends_with("logi")) {
    if (measure(without_suffix(word, 3)) > 0) word.pop_back();  // the l counts with the stem: geologi -> geolog
  } else {
    apply_first_rule(word, kRules, 0);
  }
}

void step_3(std::string& word) {
  static constexpr std::array<Rule, 7> kRules{
      {{"icate", "ic"}, {"ative", ""}, {"alize", "al"}, {"iciti", "ic"}, {"ical", "ic"}, {"ful", ""}, {"ness", ""}}};
  apply_first_rule(word, kRules, 0);
}

void step_4(std::string& word) {
  static constexpr std::array<Rule, 18> kRules{{{"al", ""},
                                                {"ance", ""},
                                                {"ence", ""},
                                                {"er", ""},
                                                {"ic", ""},
                                                {"able", ""},
                                                {"ible", ""},
                                                {"ant", ""},
                                                {"ement", ""},
                                                {"ment", ""},
                                                {"ent", ""},
                                                {"ou", ""},
                                                {"ism", ""},
                                                {"ate", ""},
                                                {"iti", ""},
                                                {"ous", ""},
                                                {"ive", ""},
                                                {"ize", ""}}};
  if (word.ends_with("ion")) {
    const View stem = without_suffix(word, 3);
    if (measure(stem) > 1 && (stem.back() == 's' || stem.back() == 't')) word.resize(stem.size());
  } else {
    apply_first_rule(word, kRules, 1);
  }
}

// A final e, then a final double l.
void step_5(std::string& word) {
  if (word.ends_with("e")) {
    const View stem = without_suffix(word, 1);
    const int m = measure(stem);
    if (m > 1 || (m == 1 && !ends_like_hop(stem))) word.pop_back();
  }
  if (word.ends_with("ll") && measure(without_suffix(word, 1)) > 1) word.pop_back();
}

}  // namespace

std::string porter_stem(std::string_view word) {
  static constexpr std::array<Rule, 16> kIrregular{{{"sky", "sky"},
                                                    {"skies", "sky"},
                                                    {"dying", "die"},
                                                    {"lying", "lie"},
                                                    {"tying", "tie"},
                                                    {"news", "news"},
                                                    {"innings", "inning"},
                                                    {"inning", "inning"},
                                                    {"outings", "outing"},
                                                    {"outing", "outing"},
                                                    {"cannings", "canning"},
                                                    {"canning", "canning"},
                                                    {"howe", "howe"},
                                                    {"proceed", "proceed"},
                                                    {"exceed", "exceed"},
                                                    {"succeed", "succeed"}}};
  for (const Rule& irregular : kIrregular) {
    if (word == irregular.suffix) return std::string(irregular.replacement);
  }
  std::string stem(word);
  if (stem.size() <= 2) return stem;
  step_1a(stem);
  step_1b(stem);
  step_1c(stem);
  step_2(stem);
  step_3(stem);
  step_4(stem);
  step_5(stem);
  return stem;
}

}  // namespace txtsum::metrics
