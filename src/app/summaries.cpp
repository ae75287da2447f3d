#include "app/summaries.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
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

void log_speed(const std::string& label, int64_t documents, double seconds) {
  if (documents == 0) return;
  char text[128];
  std::snprintf(text, sizeof(text), "%s: %lld documents in %.2f s, %.1f documents/s", label.c_str(),
                static_cast<long long>(documents), seconds, static_cast<double>(documents) / std::max(seconds, 1e-9));
  core::log_info(text);
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

SummaryLog::SummaryLog(std::string path, const std::string& key) : path_(std::move(path)) {
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
}

void SummaryLog::remove() {
  std::error_code ignored;
  std::filesystem::remove(path_, ignored);
}

SummarizedDocuments summarize_documents(const Summarizer& summarizer, const generate::SourceSet& documents,
                                        const std::string& label, SummaryLog* log) {
  SummarizedDocuments result;
  result.summaries.resize(static_cast<size_t>(documents.size));
  std::vector<bool> done(static_cast<size_t>(documents.size), false);
  if (log != nullptr) {
    for (const auto& [document, summaries] : log->found()) {
      result.summaries.at(static_cast<size_t>(document)) = summaries;
      done.at(static_cast<size_t>(document)) = true;
    }
  }
  std::vector<int64_t> todo;
  for (int64_t i = 0; i < documents.size; ++i) {
    if (!done[static_cast<size_t>(i)]) todo.push_back(i);
  }
  int64_t finished = documents.size - static_cast<int64_t>(todo.size());
  ProgressLine progress(label, "documents", documents.size, summarizer.clock);
  progress.start_at(finished);

  const double begin_seconds = summarizer.clock.monotonic_seconds();
  generate::SourceSet rest;
  rest.size = static_cast<int64_t>(todo.size());
  rest.ids = [&](int64_t i) { return documents.ids(todo[static_cast<size_t>(i)]); };
  const generate::GenerationCounts counts = generate::generate(
      summarizer.model, summarizer.settings, rest, [&](int64_t i, std::vector<generate::Hypothesis> hypotheses) {
        const int64_t document = todo[static_cast<size_t>(i)];
        Summaries& place = result.summaries[static_cast<size_t>(document)];
        place = decode(hypotheses, summarizer.tokenizer);
        if (log != nullptr) log->add(document, place);
        result.work.examples += 1;
        result.work.summaries += 1;
        result.work.source_tokens += static_cast<int64_t>(documents.ids(document).size());
        result.work.target_tokens += static_cast<int64_t>(hypotheses.front().ids.size()) - 1;
        progress.update(++finished);
      });
  progress.finish();
  log_speed(label, rest.size, summarizer.clock.monotonic_seconds() - begin_seconds);
  metrics::GenerationSums sums;
  sums.source_tokens = result.work.source_tokens;
  for (const int64_t document : todo) {
    const auto tokens = static_cast<int64_t>(documents.ids(document).size());
    sums.source_pairs += model::source_pairs(summarizer.model.facts(), tokens);
  }
  sums.decoder_rows = counts.decoder_rows;
  sums.self_positions = counts.self_positions;
  sums.cross_positions = counts.cross_positions;
  result.work.flops = metrics::generation_flops(shape_of(summarizer.model.facts()), sums);
  return result;
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
