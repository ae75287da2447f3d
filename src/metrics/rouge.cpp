#include "txtsum/metrics/rouge.h"

#include <algorithm>
#include <cmath>

#include "metrics/rouge_lcs.h"
#include "metrics/rouge_tokens.h"
#include "txtsum/core/error.h"
#include "txtsum/metrics/sentence_splitter.h"

namespace txtsum::metrics {
namespace {

using Tokens = std::span<const uint32_t>;

Score score_of(size_t hits, size_t target_count, size_t prediction_count) {
  Score score;
  score.precision = static_cast<double>(hits) / static_cast<double>(std::max<size_t>(prediction_count, 1));
  score.recall = static_cast<double>(hits) / static_cast<double>(std::max<size_t>(target_count, 1));
  const double sum = score.precision + score.recall;
  score.f = sum > 0 ? 2 * score.precision * score.recall / sum : 0;
  return score;
}

// The n-grams' keys in ascending order, for n = 1 or 2.
std::vector<uint64_t> sorted_ngrams(Tokens tokens, size_t n) {
  std::vector<uint64_t> keys;
  for (size_t i = 0; i + n <= tokens.size(); ++i) {
    keys.push_back(n == 1 ? tokens[i] : uint64_t{tokens[i]} << 32 | tokens[i + 1]);
  }
  std::sort(keys.begin(), keys.end());
  return keys;
}

Score score_ngrams(Tokens target, Tokens prediction, size_t n) {
  const std::vector<uint64_t> a = sorted_ngrams(target, n);
  const std::vector<uint64_t> b = sorted_ngrams(prediction, n);
  size_t hits = 0;
  for (size_t i = 0, j = 0; i < a.size() && j < b.size();) {
    hits += a[i] == b[j];
    const bool advance_a = a[i] <= b[j];
    const bool advance_b = b[j] <= a[i];
    i += advance_a;
    j += advance_b;
  }
  return score_of(hits, a.size(), b.size());
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\n\v\f\r";
  const size_t begin = text.find_first_not_of(kSpace);
  return begin == std::string_view::npos ? "" : text.substr(begin, text.find_last_not_of(kSpace) + 1 - begin);
}

std::vector<std::string_view> sentences_of(std::string_view text, SentenceSplit split) {
  text = trimmed(text);
  if (split == SentenceSplit::lines_or_rule && text.find('\n') == std::string_view::npos) return split_sentences(text);
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

// Scores pairs one after another; keeps what words of earlier pairs have taught it.
class PairScorer {
 public:
  explicit PairScorer(const RougeOptions& options) : split_(options.sentences), tokenizer_(options.stem) {}

  RougeScores score(std::string_view target_text, std::string_view prediction_text) {
    const TokenizedText target = tokenizer_.tokenize(sentences_of(target_text, split_));
    const TokenizedText prediction = tokenizer_.tokenize(sentences_of(prediction_text, split_));
    slot_of_token_.resize(tokenizer_.token_count());
    spare_of_token_.resize(tokenizer_.token_count());
    RougeScores scores;
    if (target.tokens.empty() || prediction.tokens.empty()) return scores;
    scores.rouge1 = score_ngrams(target.tokens, prediction.tokens, 1);
    scores.rouge2 = score_ngrams(target.tokens, prediction.tokens, 2);
    const size_t length = LcsWithCandidate(prediction.tokens, slot_of_token_).length(target.tokens);
    scores.rougeL = score_of(length, target.tokens.size(), prediction.tokens.size());
    // With one sentence on each side every token of the one LCS is a hit.
    const bool single = target.sentence_count() == 1 && prediction.sentence_count() == 1;
    const size_t hits = single ? length : union_hits(target, prediction);
    scores.rougeLsum = score_of(hits, target.tokens.size(), prediction.tokens.size());
    return scores;
  }

 private:
  // Tokens of the target in any of its sentence's LCS with the prediction's sentences, each counted at most as often as
  // the whole prediction has it.
  size_t union_hits(const TokenizedText& target, const TokenizedText& prediction) {
    std::vector<char> in_union(target.tokens.size());
    for (size_t c = 0; c < prediction.sentence_count(); ++c) {
      LcsWithCandidate lcs(prediction.sentence(c), slot_of_token_);
      size_t begin = 0;
      for (size_t r = 0; r < target.sentence_count(); ++r) {
        const Tokens sentence = target.sentence(r);
        lcs.mark(sentence, std::span(in_union).subspan(begin, sentence.size()));
        begin += sentence.size();
      }
    }
    for (const uint32_t token : prediction.tokens) ++spare_of_token_[token];
    size_t hits = 0;
    for (size_t i = 0; i < in_union.size(); ++i) {
      if (!in_union[i] || spare_of_token_[target.tokens[i]] == 0) continue;
      --spare_of_token_[target.tokens[i]];
      ++hits;
    }
    for (const uint32_t token : prediction.tokens) spare_of_token_[token] = 0;
    return hits;
  }

  SentenceSplit split_;
  RougeTokenizer tokenizer_;
  // Scratch, all zeros between pairs.
  std::vector<uint32_t> slot_of_token_;
  std::vector<uint32_t> spare_of_token_;
};

std::string shortest(double value) {
  std::string text = std::to_string(value);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.ends_with('.')) text.pop_back();
  return text;
}

void describe(CorpusRouge& corpus) {
  const BootstrapOptions& bootstrap = corpus.options.bootstrap;
  const double tail = 50 * (1 - bootstrap.confidence);
  corpus.stemmer = corpus.options.stem ? "NLTK extended Porter, tokens of more than 3 characters" : "none";
  corpus.sentence_splitter = corpus.options.sentences == SentenceSplit::lines
                                 ? "lines"
                                 : "lines, or the rule of docs/rouge.md in a text without line breaks";
  if (bootstrap.resamples == 0) {
    corpus.aggregation = "mean over pairs, x 100; no interval";
    return;
  }
  corpus.aggregation = "mean over pairs, x 100; interval: percentiles " + shortest(tail) + ", 50 and " +
                       shortest(100 - tail) + " of " + std::to_string(bootstrap.resamples) +
                       " bootstrap means, generator " + generator_name(bootstrap.generator) + ", seed " +
                       std::to_string(bootstrap.seed);
}

// Three columns a kind, in percent: precision, recall, F.
constexpr size_t kColumns = 3 * kRougeKinds.size();

std::vector<double> percent_columns(const std::vector<RougeScores>& examples) {
  std::vector<double> values;
  values.reserve(examples.size() * kColumns);
  for (const RougeScores& example : examples) {
    for (const RougeKind& kind : kRougeKinds) {
      const Score& score = example.*kind.member;
      values.insert(values.end(), {100 * score.precision, 100 * score.recall, 100 * score.f});
    }
  }
  return values;
}

void aggregate(CorpusRouge& corpus) {
  const std::vector<double> values = percent_columns(corpus.examples);
  std::array<double, kColumns> means{};
  for (size_t i = 0; i < values.size(); ++i) means[i % kColumns] += values[i];
  for (double& mean : means) mean /= static_cast<double>(corpus.examples.size());
  std::vector<Interval> intervals(kColumns);
  if (corpus.options.bootstrap.resamples > 0) {
    intervals = bootstrap_means(values, kColumns, kRougeKinds.size(), corpus.options.bootstrap);
  }
  for (size_t k = 0; k < kRougeKinds.size(); ++k) {
    CorpusScore& score = corpus.scores[k];
    score.name = kRougeKinds[k].name;
    score.precision = means[3 * k];
    score.recall = means[3 * k + 1];
    score.f = means[3 * k + 2];
    score.precision_interval = intervals[3 * k];
    score.recall_interval = intervals[3 * k + 1];
    score.f_interval = intervals[3 * k + 2];
  }
}

}  // namespace

RougeScores score_pair(std::string_view target, std::string_view prediction, const RougeOptions& options) {
  return PairScorer(options).score(target, prediction);
}

CorpusRouge score_corpus(std::span<const std::string> targets, std::span<const std::string> predictions,
                         const RougeOptions& options) {
  if (targets.size() != predictions.size()) {
    throw core::DataError("ROUGE needs one prediction for each reference: found " + std::to_string(predictions.size()) +
                          " predictions and " + std::to_string(targets.size()) + " references");
  }
  if (targets.empty()) throw core::DataError("ROUGE needs at least one pair: found 0 predictions and 0 references");
  CorpusRouge corpus;
  corpus.options = options;
  corpus.examples.resize(targets.size());
#pragma omp parallel
  {
    PairScorer scorer(options);
#pragma omp for schedule(dynamic, 16)
    for (size_t i = 0; i < targets.size(); ++i) corpus.examples[i] = scorer.score(targets[i], predictions[i]);
  }
  aggregate(corpus);
  describe(corpus);
  return corpus;
}

double round_to_4_decimals(double value) { return std::round(value * 1e4) / 1e4; }

}  // namespace txtsum::metrics
