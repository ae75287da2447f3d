#include "known_columns.h"

#include <algorithm>
#include <span>

#include "record_format.h"
#include "txtsum/core/error.h"

namespace txtsum::data {
namespace {

struct KnownPair {
  const char* source;
  const char* target;
};

// The names that nearly all data sets use. They win over the others, which are looked at only where a file has none of
// these: a text/summary file that has a headline too is still read as text/summary.
constexpr KnownPair kUsualPairs[] = {
    {"dialogue", "summary"},    // SAMSum, DialogSum
    {"article", "highlights"},  // CNN/DailyMail
    {"document", "summary"},    // XSum, Multi-News, Gigaword
    {"text", "summary"},        // BillSum, Newsroom, OrangeSum
};
constexpr KnownPair kOtherPairs[] = {
    {"article", "abstract"},           // arXiv, PubMed
    {"description", "abstract"},       // BigPatent
    {"report", "summary"},             // GovReport
    {"chapter", "summary"},            // BookSum
    {"chapter", "summary_text"},       // BookSum where `summary` is a record: with both, a person has to choose
    {"body", "summary"},               // ThaiSum
    {"documents", "tldr"},             // Reddit TIFU
    {"text", "headline"},              // WikiHow
    {"email_body", "subject_line"},    // AESLC
    {"review_body", "review_title"},   // Amazon reviews
    {"extract_text", "summary_text"},  // Polish Summaries Corpus
};

bool contains(const std::vector<std::string>& names, const char* name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::string name_of(const KnownPair& pair, bool wants_target) {
  return wants_target ? std::string(pair.source) + "/" + pair.target : pair.source;
}

/// The known names for messages, each once: without targets two pairs may be the same.
std::string known_names(bool wants_target) {
  std::vector<std::string> seen;
  std::string text;
  for (const std::span<const KnownPair> pairs : {std::span<const KnownPair>(kUsualPairs), {kOtherPairs}}) {
    for (const KnownPair& pair : pairs) {
      const std::string name = name_of(pair, wants_target);
      if (contains(seen, name.c_str())) continue;
      seen.push_back(name);
      text += (text.empty() ? "" : ", ") + name;
    }
  }
  return text;
}

constexpr const char* kNameThem = "; name the columns to read (data.source_column, data.summary_column)";

/// The pair of `pairs` that `names` has; null when there is none.
const KnownPair* find_pair(std::span<const KnownPair> pairs, const std::vector<std::string>& names, bool wants_target,
                           const std::string& where) {
  const KnownPair* found = nullptr;
  for (const KnownPair& pair : pairs) {
    if (!contains(names, pair.source) || (wants_target && !contains(names, pair.target))) continue;
    if (found == nullptr) {
      found = &pair;
    } else if (name_of(*found, wants_target) != name_of(pair, wants_target)) {
      throw core::DataError(where + "two known pairs of columns, " + name_of(*found, wants_target) + " and " +
                            name_of(pair, wants_target) + kNameThem);
    }
  }
  return found;
}

}  // namespace

void find_known_columns(const std::vector<std::string>& names, bool wants_target, const std::string& where,
                        ColumnChoice& choice) {
  const KnownPair* found = find_pair(kUsualPairs, names, wants_target, where);
  if (found == nullptr) found = find_pair(kOtherPairs, names, wants_target, where);
  if (found == nullptr) {
    throw core::DataError(where + "no known columns (" + known_names(wants_target) + "); found " + quoted_list(names) +
                          kNameThem);
  }
  choice.source = found->source;
  choice.target = wants_target ? found->target : "";
  choice.found_by_name = true;
}

}  // namespace txtsum::data
