#include <filesystem>

#include "app/command.h"
#include "app/run_report.h"
#include "txtsum/core/error.h"
#include "txtsum/core/file.h"
#include "txtsum/core/stop_signal.h"
#include "txtsum/metrics/rouge.h"

namespace txtsum::app {
namespace {

struct ScoreOptions {
  std::string predictions;
  std::string references;
  std::string prediction_field;
  std::string reference_field;
  bool no_stemmer = false;
  std::string sentences = "split";
  int resamples = 1000;
  uint64_t seed = 0;
  std::string per_example;
};

bool is_json_lines(const std::string& path) {
  const std::string ending = std::filesystem::path(path).extension().string();
  return ending == ".jsonl" || ending == ".ndjson" || ending == ".json";
}

/// The text of a JSON line in the first of `fields` that it has.
std::string text_of(const std::string& line, const std::string& where, const std::vector<std::string>& fields) {
  const core::Json json = core::Json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) throw core::DataError(where + ": wanted a JSON object, found " + line.substr(0, 60));
  for (const std::string& field : fields) {
    if (json.contains(field) && json.at(field).is_string()) return json.at(field).get<std::string>();
  }
  std::string wanted;
  for (const std::string& field : fields) wanted += (wanted.empty() ? "" : " or ") + field;
  throw core::DataError(where + ": wanted a text in field " + wanted + "; name it with --prediction-field or " +
                        "--reference-field");
}

/// The texts of a file. Its ending says whether it has JSON lines, and so does a `field` that was named.
std::vector<std::string> read_texts(const std::string& path, const std::string& field,
                                    const std::vector<std::string>& default_fields) {
  const std::string content = core::read_file(path);
  const bool json = !field.empty() || is_json_lines(path);
  const std::vector<std::string> fields = field.empty() ? default_fields : std::vector<std::string>{field};
  std::vector<std::string> texts;
  int64_t number = 0;
  for (size_t begin = 0; begin < content.size();) {
    const size_t end = std::min(content.find('\n', begin), content.size());
    std::string line = content.substr(begin, end - begin);
    if (!line.empty() && line.back() == '\r') line.pop_back();
    begin = end + 1;
    ++number;
    if (!json) {
      texts.push_back(std::move(line));
    } else if (line.find_first_not_of(" \t") != std::string::npos) {
      texts.push_back(text_of(line, path + ":" + std::to_string(number), fields));
    }
  }
  return texts;
}

void write_examples(const std::string& path, const metrics::CorpusRouge& rouge) {
  std::string lines;
  for (const metrics::RougeScores& scores : rouge.examples) {
    core::Json line;
    for (const metrics::RougeKind& kind : metrics::kRougeKinds) {
      const metrics::Score& score = scores.*kind.member;
      line[kind.name] = {{"precision", 100 * score.precision}, {"recall", 100 * score.recall}, {"f", 100 * score.f}};
    }
    lines.append(core::to_line(line)).append("\n");
  }
  core::write_file(path, lines);
}

int run_score(const ScoreOptions& options) {
  core::end_at_stop_signals();
  const std::vector<std::string> predictions = read_texts(options.predictions, options.prediction_field, {"summary"});
  const std::vector<std::string> references =
      read_texts(options.references, options.reference_field, {"reference", "summary", "highlights"});
  if (predictions.size() != references.size()) {
    throw core::DataError(options.predictions + " has " + std::to_string(predictions.size()) + " texts, " +
                          options.references + " has " + std::to_string(references.size()) +
                          ": every prediction needs its reference, in the same order");
  }
  metrics::RougeOptions rouge;
  rouge.stem = !options.no_stemmer;
  rouge.sentences =
      options.sentences == "lines" ? metrics::SentenceSplit::lines : metrics::SentenceSplit::lines_or_rule;
  rouge.bootstrap.resamples = options.resamples;
  rouge.bootstrap.seed = options.seed;
  const metrics::CorpusRouge scores = metrics::score_corpus(references, predictions, rouge);
  if (!options.per_example.empty()) write_examples(options.per_example, scores);
  print(core::to_pretty_text(to_json(scores)));
  return 0;
}

}  // namespace

void add_score_command(CommandLine& line) {
  auto options = std::make_shared<ScoreOptions>();
  CLI::App* command =
      add_command(line.program, "score", "Score summaries against references with ROUGE; prints one JSON object.",
                  worked_examples("txtsum score summaries.txt references.txt",
                                  "txtsum score runs/quickstart/predictions.jsonl data/debian_synopses/test.jsonl "
                                  "--no-stemmer"));
  command
      ->add_option("PREDICTIONS", options->predictions, "A text a line, or JSON lines where the file ends in .jsonl.")
      ->required()
      ->check(CLI::ExistingFile);
  command->add_option("REFERENCES", options->references, "The same for the references, in the same order.")
      ->required()
      ->check(CLI::ExistingFile);
  command->add_option("--prediction-field", options->prediction_field,
                      "PREDICTIONS are JSON lines, and this field has the text. Default: summary.");
  command->add_option("--reference-field", options->reference_field,
                      "REFERENCES are JSON lines, and this field has the text. Default: reference, summary or "
                      "highlights, the first there.");
  command->add_flag("--no-stemmer", options->no_stemmer, "Compare words as they are, without stemming.");
  command
      ->add_option(
          "--sentences", options->sentences,
          "What rougeLsum takes as sentences: split (lines, or the rule of docs/rouge.md in a text of one line) "
          "or lines.")
      ->check(CLI::IsMember({"split", "lines"}))
      ->capture_default_str();
  command->add_option("--resamples", options->resamples, "Bootstrap resamples of the intervals; 0: none.")
      ->check(CLI::Range(0, 1000000))
      ->capture_default_str();
  command->add_option("--seed", options->seed, "Seed of the bootstrap.")->capture_default_str();
  command->add_option("--per-example", options->per_example, "File for the scores of each pair, a JSON object a line.");
  command->callback([&line, options] { line.run = [options] { return run_score(*options); }; });
}

}  // namespace txtsum::app
