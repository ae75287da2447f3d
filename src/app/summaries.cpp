#include "app/summaries.h"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <utility>

#include "app/experiment.h"
#include "txtsum/core/error.h"
#include "txtsum/core/file.h"
#include "txtsum/core/log.h"

namespace txtsum::app {
namespace {

Summary summary_from_json(const core::Json& json) {
  return {json.at("summary").get<std::string>(), json.at("score").get<double>(),
          json.at("token_ids").get<std::vector<int64_t>>()};
}

Summaries decode(const std::vector<generate::Hypothesis>& hypotheses, const text::Tokenizer& tokenizer) {
  Summaries summaries;
  for (const generate::Hypothesis& hypothesis : hypotheses) {
    const std::vector<int32_t> ids(hypothesis.ids.begin(), hypothesis.ids.end());
    std::string text = tokenizer.decode(ids);
    // transformers' script strips decoded texts.
    const size_t begin = text.find_first_not_of(" \t\n\r\f\v");
    const size_t end = text.find_last_not_of(" \t\n\r\f\v");
    text = begin == std::string::npos ? "" : text.substr(begin, end - begin + 1);
    summaries.push_back({std::move(text), hypothesis.score, hypothesis.ids});
  }
  return summaries;
}

}  // namespace

core::Json to_json(const Summary& summary) {
  return {{"summary", summary.text}, {"score", summary.score}, {"token_ids", summary.token_ids}};
}

core::Json to_json(const Summaries& summaries) {
  core::Json list = core::Json::array();
  for (const Summary& summary : summaries) list.push_back(to_json(summary));
  return list;
}

Summaries summaries_from_json(const core::Json& json) {
  Summaries summaries;
  for (const core::Json& item : json) summaries.push_back(summary_from_json(item));
  return summaries;
}

SummaryLog::SummaryLog(std::string path, const std::string& key, std::function<void()> after_add)
    : path_(std::move(path)), after_add_(std::move(after_add)) {
  const std::string head = core::to_line({{"key", key}});
  std::ifstream in(path_);
  std::string line;
  if (in && std::getline(in, line) && line == head) {
    std::string kept = head + "\n";
    while (std::getline(in, line)) {
      const core::Json json = core::Json::parse(line, nullptr, /*allow_exceptions=*/false);
      if (json.is_discarded() || !json.contains("summaries")) break;  // the line that a killed process left
      found_.emplace_back(json.at("document").get<int64_t>(), summaries_from_json(json.at("summaries")));
      kept.append(line).append("\n");
    }
    core::write_file(path_, kept);
    return;
  }
  core::write_file(path_, head + "\n");
}

void SummaryLog::add(int64_t document, const Summaries& summaries) {
  std::ofstream out(path_, std::ios::app);
  out << core::to_line({{"document", document}, {"summaries", to_json(summaries)}}) << '\n' << std::flush;
  if (!out) throw core::DataError(path_ + ": cannot write");
  out.close();
  if (after_add_) after_add_();
}

metrics::Work summarize(const Summarizer& summarizer, const generate::SourceSet& documents,
                        const std::function<void(int64_t document, Summaries summaries)>& sink,
                        const std::function<void()>& between_steps) {
  metrics::Work work;
  metrics::GenerationSums sums;
  const auto take = [&](int64_t document, std::vector<generate::Hypothesis> hypotheses) {
    const auto tokens = static_cast<int64_t>(documents.ids(document).size());
    work.examples += 1;
    work.summaries += 1;
    work.source_tokens += tokens;
    work.target_tokens += static_cast<int64_t>(hypotheses.front().ids.size()) - 1;
    sums.source_pairs += model::source_pairs(summarizer.model.facts(), tokens);
    sink(document, decode(hypotheses, summarizer.tokenizer));
  };
  const generate::GenerationCounts counts =
      generate::generate(summarizer.model, summarizer.settings, documents, take, between_steps);
  sums.source_tokens = work.source_tokens;
  sums.decoder_rows = counts.decoder_rows;
  sums.self_positions = counts.self_positions;
  sums.cross_positions = counts.cross_positions;
  work.flops = metrics::generation_flops(shape_of(summarizer.model.facts()), sums);
  return work;
}

generate::SourceSet sources_of(const data::Dataset& dataset, std::optional<int64_t> limit) {
  generate::SourceSet set;
  set.size = limit ? std::min(*limit, dataset.size()) : dataset.size();
  set.ids = [&dataset](int64_t i) { return dataset.source(i); };
  return set;
}

metrics::CorpusRouge score_summaries(const data::Dataset& dataset, const std::vector<Summaries>& summaries,
                                     const metrics::RougeOptions& options) {
  std::vector<std::string> references, predictions;
  for (size_t i = 0; i < summaries.size(); ++i) {
    references.push_back(dataset.text(static_cast<int64_t>(i)).reference);
    predictions.push_back(summaries[i].front().text);
  }
  return metrics::score_corpus(references, predictions, options);
}

double mean_generated_length(const std::vector<Summaries>& summaries, int64_t pad_id) {
  if (summaries.empty()) return 0.0;
  int64_t count = 0;
  for (const Summaries& list : summaries) {
    const std::vector<int64_t>& ids = list.front().token_ids;
    count += static_cast<int64_t>(ids.size()) - std::count(ids.begin(), ids.end(), pad_id);
  }
  return static_cast<double>(count) / static_cast<double>(summaries.size());
}

}  // namespace txtsum::app
