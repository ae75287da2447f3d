#include "app/split_evaluation.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <utility>

#include "app/run_ledger.h"
#include "app/run_report.h"
#include "app/spread_summaries.h"
#include "txtsum/app/html_text.h"
#include "txtsum/app/table.h"
#include "txtsum/config/dump.h"
#include "txtsum/core/file.h"
#include "txtsum/core/file_hash.h"
#include "txtsum/metrics/hf_results.h"
#include "txtsum/train/dataset_batches.h"
#include "txtsum/train/validation_loss.h"

namespace txtsum::app {
namespace {

namespace fs = std::filesystem;

/// How much work a process that is killed may take with it, where summaries are written in the temporary folder.
constexpr double kPublishSeconds = 30;

/// Stands for everything that the summaries depend on, by content: an attempt that goes on may have written the
/// finished model anew.
std::string summary_key(const SplitRequest& request) {
  std::vector<std::string> lines{request.dataset.fingerprint()};
  for (const config::KeyValue& entry : config::list_values(request.config)) {
    const bool counts = entry.key.starts_with("generation.") && entry.key != "generation.slots";
    if (counts || entry.key == "train.precision") lines.push_back(entry.key + "=" + entry.value);
  }
  for (const fs::directory_entry& entry : fs::directory_iterator(request.files.folder.path)) {
    const std::string name = entry.path().filename().string();
    const bool counts = name.ends_with(".safetensors") || name.ends_with(".bin") || name.ends_with(".json") ||
                        name.ends_with(".model") || name.ends_with(".txt");
    if (entry.is_regular_file() && counts && !name.starts_with("optimizer"))
      lines.push_back(name + " " + core::file_hash(entry.path().string()));
  }
  std::sort(lines.begin(), lines.end());  // a folder lists its files in any order
  std::string text;
  for (const std::string& line : lines) text.append(line).append("\n");
  return core::content_hash(text);
}

/// So much of each document stands beside its summary: the data may be elsewhere when a report is read.
constexpr size_t kSourceStartCharacters = 400;

core::Json prediction_line(const data::Dataset& dataset, int64_t example, const Summaries& summaries,
                           const metrics::RougeScores& scores) {
  const data::ExampleText& text = dataset.text(example);
  core::Json line{{"id", text.id}, {"summary", summaries.front().text}, {"reference", text.reference}};
  line["source_start"] = beginning_of(text.source, kSourceStartCharacters);
  line["source_tokens"] = dataset.table().full_lengths[static_cast<size_t>(2 * example)];
  line["reference_tokens"] = dataset.table().full_lengths[static_cast<size_t>(2 * example + 1)];
  line["score"] = summaries.front().score;
  line["token_ids"] = summaries.front().token_ids;
  for (const metrics::RougeKind& kind : metrics::kRougeKinds) {
    line[kind.name] = metrics::round_to_4_decimals(100.0 * (scores.*kind.member).f);
  }
  for (size_t i = 1; i < summaries.size(); ++i) line["others"].push_back(to_json(summaries[i]));
  return line;
}

std::string on_one_line(std::string text) {
  for (char& c : text) {
    if (c == '\n' || c == '\r') c = ' ';
  }
  return text;
}

void write_predictions(const RunFolder& folder, const data::Dataset& dataset, const std::vector<Summaries>& summaries,
                       const metrics::CorpusRouge& rouge) {
  std::string lines, texts;
  for (size_t i = 0; i < summaries.size(); ++i) {
    const auto example = static_cast<int64_t>(i);
    lines.append(core::to_line(prediction_line(dataset, example, summaries[i], rouge.examples[i]))).append("\n");
    texts.append(on_one_line(summaries[i].front().text)).append("\n");
  }
  core::write_file(folder.file(kPredictionsFile), lines);
  core::write_file(folder.file(kGeneratedTextFile), texts);
}

/// Seconds of generation over all attempts.
double generate_seconds(const RunFolder& folder, metrics::Ledger& ledger) {
  const metrics::RunTotals totals = metrics::add_up(all_attempts(folder.file(kAttemptsFolder), ledger));
  return totals.phases[static_cast<size_t>(metrics::Phase::kGenerate)].seconds;
}

struct Measured {
  train::ValidationLoss loss;
  SummarizedDocuments done;
};

/// What all ranks do. `log`: rank 0's.
Measured measure(const SplitRequest& request, SummaryLog* log, const core::Clock& clock,
                 parallel::Communicator& ranks) {
  train::DatasetMicroBatches batches(request.dataset, request.config.train.micro_batch_tokens);
  Measured measured;
  measured.loss = train::validation_loss(request.model, batches, request.config.train.label_smoothing, ranks);
  const Summarizer summarizer{request.model, request.settings, *request.files.tokenizer, clock};
  measured.done = summarize_on_ranks(summarizer, sources_of(request.dataset), "summarize", log, ranks);
  return measured;
}

}  // namespace

core::Json evaluate_split(const SplitRequest& request, const RunFolder& folder, metrics::Ledger& ledger,
                          const core::Clock& clock, parallel::Communicator& ranks) {
  const auto scope = ledger.enter(metrics::Phase::kGenerate);
  const data::Dataset& dataset = request.dataset;
  double published = clock.monotonic_seconds();
  SummaryLog log(folder.live(kPartialFile), summary_key(request), [&] {
    if (clock.monotonic_seconds() - published < kPublishSeconds) return;
    folder.publish_live();
    published = clock.monotonic_seconds();
  });
  const auto [loss, done] = measure(request, &log, clock, ranks);
  ledger.add_work(metrics::Phase::kGenerate, done.work);
  const metrics::CorpusRouge rouge = score_summaries(
      dataset, done.summaries, rouge_options(request.config.metrics, static_cast<uint64_t>(request.config.run.seed)));
  write_predictions(folder, dataset, done.summaries, rouge);

  metrics::SplitResults results;
  results.loss = loss.loss;
  results.rouge = rouge_shares(rouge);
  results.gen_len = mean_generated_length(done.summaries, request.model.facts().pad_id);
  results.runtime_seconds = generate_seconds(folder, ledger);
  results.samples = dataset.size();
  results.steps = (dataset.size() + request.settings.slots - 1) / request.settings.slots;
  const std::string prefix = request.split == Split::kTest ? "predict" : "eval";
  metrics::write_results(folder.path(), prefix, metrics::split_results(results, prefix));

  core::Json quality = to_json(rouge);
  quality["loss"] = loss.loss;
  quality["nll"] = loss.nll;
  quality["gen_len"] = *results.gen_len;
  quality["weights"] = request.files.folder.path;
  return quality;
}

void forget_summary_log(const RunFolder& folder) { folder.remove_growing(kPartialFile); }

void follow_evaluation(const SplitRequest& request, const core::Clock& clock, parallel::Communicator& ranks) {
  measure(request, nullptr, clock, ranks);
}

std::string quality_text(const core::Json& quality) {
  Table table({"ROUGE F x 100", "mean", "95 % interval"}, {Table::Align::kLeft, Table::Align::kRight});
  for (const metrics::RougeKind& kind : metrics::kRougeKinds) {
    char mean[32], interval[64] = "";
    std::snprintf(mean, sizeof(mean), "%.4f", quality.at(kind.name).get<double>());
    if (quality.contains("intervals")) {
      const core::Json& found = quality.at("intervals").at(kind.name);
      std::snprintf(interval, sizeof(interval), "%.2f to %.2f", found.at("low").get<double>(),
                    found.at("high").get<double>());
    }
    table.add_row({kind.name, mean, interval});
  }
  return table.text() + with_separators(quality.at("pairs").get<long long>()) +
         " pairs; stemmer: " + quality.at("stemmer").get<std::string>() + "\n";
}

}  // namespace txtsum::app
