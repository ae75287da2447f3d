#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "txtsum/app/progress_line.h"
#include "txtsum/core/json.h"
#include "txtsum/data/dataset.h"
#include "txtsum/generate/generator.h"
#include "txtsum/metrics/attempt_record.h"
#include "txtsum/metrics/flops.h"
#include "txtsum/metrics/rouge.h"
#include "txtsum/model/seq2seq_model.h"
#include "txtsum/text/tokenizer.h"

namespace txtsum::app {

/// One generated text.
struct Summary {
  std::string text;
  double score = 0.0;              ///< See generate::Hypothesis.
  std::vector<int64_t> token_ids;  ///< As generated, special tokens included.
};

/// A document's summaries, best first.
using Summaries = std::vector<Summary>;

/// As a list, and back.
core::Json to_json(const Summaries& summaries);
Summaries summaries_from_json(const core::Json& json);
core::Json to_json(const Summary& summary);

/// Keeps what is generated, in the order in which it finishes, so that a killed generation goes on where it was. The
/// file's first line says what the summaries depend on; one with another first line is started anew.
class SummaryLog {
 public:
  /// `key` stands for weights, settings and documents. `after_add` is called when more has been written.
  SummaryLog(std::string path, const std::string& key, std::function<void()> after_add = {});
  /// What an earlier attempt has left.
  const std::vector<std::pair<int64_t, Summaries>>& found() const { return found_; }
  void add(int64_t document, const Summaries& summaries);

 private:
  std::string path_;
  std::function<void()> after_add_;
  std::vector<std::pair<int64_t, Summaries>> found_;
};

/// What generation needs beside the documents.
struct Summarizer {
  const model::Seq2SeqModel& model;
  const generate::GenerationSettings& settings;
  const text::Tokenizer& tokenizer;
  const core::Clock& clock;
};

/// Summarizes the documents and hands each one's summaries to `sink`, in the order in which they finish. Returns what
/// it took. Throws StoppedBySignal between steps, where `between_steps` is called too and may throw.
metrics::Work summarize(const Summarizer& summarizer, const generate::SourceSet& documents,
                        const std::function<void(int64_t document, Summaries summaries)>& sink,
                        const std::function<void()>& between_steps);

/// The documents of a split.
generate::SourceSet sources_of(const data::Dataset& dataset, std::optional<int64_t> limit = std::nullopt);

/// Scores the best summaries of the first `summaries.size()` examples against their references.
metrics::CorpusRouge score_summaries(const data::Dataset& dataset, const std::vector<Summaries>& summaries,
                                     const metrics::RougeOptions& options);

/// Mean number of ids in the best summaries that are not padding: transformers' gen_len.
double mean_generated_length(const std::vector<Summaries>& summaries, int64_t pad_id);

}  // namespace txtsum::app
