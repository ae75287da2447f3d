#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "txtsum/metrics/bootstrap.h"

namespace txtsum::metrics {

/// What rougeLsum takes as the sentences of a text.
enum class SentenceSplit {
  /// The text's lines; a text without a line break inside (white space at its ends aside) is split by
  /// split_sentences().
  lines_or_rule,
  /// The text's lines only, as rouge_score does.
  lines,
};

struct RougeOptions {
  /// Stem tokens of more than three characters with porter_stem().
  bool stem = true;
  SentenceSplit sentences = SentenceSplit::lines_or_rule;
  BootstrapOptions bootstrap = {};  ///< 0 resamples: no intervals, which are zeros then.
};

/// Shares in [0, 1].
struct Score {
  double precision = 0;
  double recall = 0;
  double f = 0;
};

/// The scores of one pair.
struct RougeScores {
  Score rouge1;
  Score rouge2;
  Score rougeL;
  Score rougeLsum;
};

/// The four scores in the order of reports, with the names under which they are printed.
struct RougeKind {
  const char* name;
  Score RougeScores::*member;
};
inline constexpr std::array<RougeKind, 4> kRougeKinds{{{"rouge1", &RougeScores::rouge1},
                                                       {"rouge2", &RougeScores::rouge2},
                                                       {"rougeL", &RougeScores::rougeL},
                                                       {"rougeLsum", &RougeScores::rougeLsum}}};

/// Scores one prediction against one target as rouge_score's RougeScorer does (docs/rouge.md has the formulas). Texts
/// are UTF-8; bytes that are none count as characters that separate words. The options' bootstrap is not used.
RougeScores score_pair(std::string_view target, std::string_view prediction, const RougeOptions& options);

/// One kind of score over a corpus, in percent (shares x 100), unrounded.
struct CorpusScore {
  std::string name;
  double precision = 0;
  double recall = 0;
  /// Mean F x 100: the number that reports call by the score's name.
  double f = 0;
  Interval precision_interval;
  Interval recall_interval;
  Interval f_interval;
};

/// A corpus's scores with all that must stand beside them.
struct CorpusRouge {
  /// In the order of kRougeKinds.
  std::array<CorpusScore, 4> scores;
  /// One a pair, in input order; shares, not percent.
  std::vector<RougeScores> examples;
  RougeOptions options;
  /// In words, for reports: "NLTK extended Porter, tokens of more than 3 characters" or "none".
  std::string stemmer;
  /// "lines, or the rule of docs/rouge.md in a text without line breaks" or "lines".
  std::string sentence_splitter;
  /// "mean over pairs of F x 100; interval: ...", with resamples, percentiles, generator and seed.
  std::string aggregation;

  size_t pairs() const { return examples.size(); }
};

/// Scores predictions[i] against targets[i] for every i on all OpenMP threads; the result does not depend on their
/// number. Throws DataError naming both counts when they differ, or when there are no pairs.
CorpusRouge score_corpus(std::span<const std::string> targets, std::span<const std::string> predictions,
                         const RougeOptions& options);

/// Rounds to four decimals, as reports print percentages (halves away from zero).
double round_to_4_decimals(double value);

}  // namespace txtsum::metrics
