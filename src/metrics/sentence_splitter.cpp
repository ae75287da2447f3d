#include "txtsum/metrics/sentence_splitter.h"

#include <algorithm>
#include <array>
#include <string>

namespace txtsum::metrics {
namespace {

using View = std::string_view;

// In the lists below an entry in lower case fits any case; an entry with capitals fits only as it stands.

// A word always follows (rule 3b).
constexpr std::array<View, 37> kBeforeAWord{
    "mr",  "mrs",  "ms",  "messrs", "dr",  "prof", "rev", "gen",  "col",    "maj",  "capt", "cmdr", "lt",
    "sgt", "cpl",  "pvt", "adm",    "sen", "sens", "rep", "reps", "gov",    "govs", "pres", "hon",  "supt",
    "det", "insp", "vs",  "e.g",    "i.e", "cf",   "viz", "ca",   "approx", "esp",  "incl"};

// A number can follow (rule 3c).
constexpr std::array<View, 18> kBeforeANumber{"no",  "nos", "p",  "pp",   "vol", "vols", "fig", "figs", "eq",
                                              "eqs", "ch",  "pt", "sect", "sec", "art",  "op",  "ver",  "tel"};

// Can end a sentence and mostly does not (rule 3d).
constexpr std::array<View, 71> kInsideOrAtTheEnd{
    "inc",  "ltd",  "corp",  "Co",   "bros", "jr",   "sr",  "etc",  "al",   "St",    "Mt",   "Ft",
    "ave",  "blvd", "Rd",    "dept", "univ", "assn", "Jan", "Feb",  "Mar",  "Apr",   "Aug",  "Sep",
    "Sept", "Oct",  "Nov",   "Dec",  "Mon",  "Tues", "Wed", "Thu",  "Thur", "Thurs", "Fri",  "Ala",
    "Ariz", "Ark",  "calif", "Colo", "Conn", "Del",  "Fla", "Ga",   "Ill",  "Ind",   "Kan",  "Ky",
    "La",   "Mass", "Md",    "Mich", "Minn", "Miss", "Mo",  "Mont", "Neb",  "Nev",   "Okla", "Ore",
    "Pa",   "Tenn", "Tex",   "Va",   "Vt",   "Wash", "Wis", "Wyo",  "Cie",  "plc",   "mfg"};

// What mostly opens a sentence when it has a capital.
constexpr std::array<View, 72> kOpeners{
    "The",  "This",      "That",     "These",        "Those",     "There",    "Then",      "They",   "He",
    "She",  "It",        "We",       "You",          "I",         "In",       "On",        "At",     "But",
    "And",  "However",   "So",       "If",           "When",      "While",    "After",     "Before", "As",
    "For",  "From",      "Since",    "Both",         "Though",    "Although", "Meanwhile", "Many",   "Most",
    "Some", "According", "Now",      "Here",         "His",       "Her",      "Their",     "Our",    "My",
    "Its",  "A",         "An",       "What",         "Who",       "Why",      "How",       "Where",  "Not",
    "No",   "Yes",       "Also",     "Under",        "Despite",   "Instead",  "Yet",       "Once",   "Even",
    "Each", "Another",   "Moreover", "Nevertheless", "Similarly", "Thus",     "Indeed",    "Among",  "With"};

constexpr std::array<View, 11> kOpening{"\"", "'", "(", "[", "{", "`", "-", "\u201C", "\u2018", "\u00AB", "\u201E"};
constexpr std::array<View, 9> kClosing{"\"", "'", ")", "]", "}", "\u201D", "\u2019", "\u00BB", "\u201C"};
constexpr View kEllipsis = "\u2026";

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }

std::string lower_case(View word) {
  std::string result(word);
  for (char& c : result) c = is_upper(c) ? static_cast<char>(c - 'A' + 'a') : c;
  return result;
}

template <size_t N>
bool lists(const std::array<View, N>& entries, View word) {
  return std::find(entries.begin(), entries.end(), word) != entries.end() ||
         std::find(entries.begin(), entries.end(), lower_case(word)) != entries.end();
}

View without_opening(View word) {
  for (bool again = true; again;) {
    again = false;
    for (const View mark : kOpening) {
      if (!word.starts_with(mark)) continue;
      word.remove_prefix(mark.size());
      again = true;
    }
  }
  return word;
}

View without_closing(View word) {
  for (bool again = true; again;) {
    again = false;
    for (const View mark : kClosing) {
      if (!word.ends_with(mark)) continue;
      word.remove_suffix(mark.size());
      again = true;
    }
  }
  return word;
}

enum class Mark { none, period, ellipsis, question };

// A word cut into what stands before its mark, and the mark.
struct MarkedWord {
  View body;
  Mark mark = Mark::none;
  bool quoted = false;
};

MarkedWord read_mark(View word) {
  MarkedWord result;
  View rest = without_closing(word);
  result.quoted = rest.size() != word.size();
  size_t marks = 0;
  for (;; ++marks) {
    if (rest.ends_with('?') || rest.ends_with('!')) {
      result.mark = Mark::question;
      rest.remove_suffix(1);
    } else if (rest.ends_with('.')) {
      if (result.mark != Mark::question) result.mark = marks == 0 ? Mark::period : Mark::ellipsis;
      rest.remove_suffix(1);
    } else if (rest.ends_with(kEllipsis)) {
      if (result.mark != Mark::question) result.mark = Mark::ellipsis;
      rest.remove_suffix(kEllipsis.size());
    } else {
      break;
    }
  }
  result.body = without_opening(rest);
  return result;
}

enum class Start { lower, capital, digit, other };

Start start_of(View word) {
  word = without_opening(word);
  if (word.empty()) return Start::other;
  if (is_lower(word[0])) return Start::lower;
  if (is_digit(word[0])) return Start::digit;
  // U+00DF to U+00FF are small letters; of what else is not ASCII most that starts a word is a capital or has no case.
  if (word[0] == '\xC3' && word.size() > 1 && static_cast<unsigned char>(word[1]) >= 0x9F) return Start::lower;
  return is_upper(word[0]) || (word[0] & 0x80) ? Start::capital : Start::other;
}

// U.S, p.m, Ph.D: pieces of one or two letters joined by points.
bool has_points_inside(View body) {
  size_t piece = 0;
  bool point = false;
  for (const char c : body) {
    point |= c == '.';
    piece = c == '.' ? 0 : piece + 1;
    if (piece > 2 || (c != '.' && !is_lower(c) && !is_upper(c))) return false;
  }
  return point;
}

bool opens_sentences(View word) {
  word = without_opening(word);
  const auto is_letter = [](char c) { return is_lower(c) || is_upper(c); };
  word = word.substr(0, static_cast<size_t>(std::find_if_not(word.begin(), word.end(), is_letter) - word.begin()));
  return std::find(kOpeners.begin(), kOpeners.end(), word) != kOpeners.end();
}

// Rule 3: whether a word whose mark is one '.' ends a sentence before `next`.
bool period_ends(View body, View next, bool first_word) {
  if (first_word && !body.empty() && std::all_of(body.begin(), body.end(), is_digit)) return false;
  if (first_word && body.size() == 1 && is_lower(body[0])) return false;
  if (lists(kBeforeAWord, body)) return false;
  if (lists(kBeforeANumber, body) && start_of(next) == Start::digit) return false;
  const bool initial = body.size() == 1 && is_upper(body[0]);
  if (initial || has_points_inside(body) || lists(kInsideOrAtTheEnd, body)) return opens_sentences(next);
  return true;
}

bool ends_sentence(View word, View next, bool first_word) {
  const MarkedWord marked = read_mark(word);
  if (marked.mark == Mark::none) return false;
  if (marked.quoted && start_of(next) == Start::lower) return false;
  if (marked.mark == Mark::question) return true;
  if (marked.mark == Mark::ellipsis) return start_of(next) == Start::capital || start_of(next) == Start::digit;
  return period_ends(marked.body, next, first_word);
}

View next_word(View text, size_t& at) {
  while (at < text.size() && is_space(text[at])) ++at;
  const size_t begin = at;
  while (at < text.size() && !is_space(text[at])) ++at;
  return text.substr(begin, at - begin);
}

}  // namespace

std::vector<std::string_view> split_sentences(std::string_view text) {
  std::vector<View> sentences;
  size_t at = 0;
  View word = next_word(text, at);
  View first = word;
  while (!word.empty()) {
    const View next = next_word(text, at);
    if (next.empty() || ends_sentence(word, next, word.data() == first.data())) {
      sentences.emplace_back(first.data(), static_cast<size_t>(word.data() + word.size() - first.data()));
      first = next;
    }
    word = next;
  }
  return sentences;
}

}  // namespace txtsum::metrics
