#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <utility>

#include "app/command.h"
#include "app/compute_device.h"
#include "app/documents.h"
#include "app/experiment.h"
#include "app/rank_guard.h"
#include "app/spread_summaries.h"
#include "app/start_table.h"
#include "app/warnings.h"
#include "txtsum/app/table.h"
#include "txtsum/config/load.h"
#include "txtsum/core/error.h"
#include "txtsum/core/file.h"
#include "txtsum/core/log.h"
#include "txtsum/core/stop_signal.h"

namespace txtsum::app {
namespace {

struct SummarizeOptions {
  std::string model;
  std::string input = "-";
  std::string output = "-";
  std::string input_format;
  std::string output_format;
  std::string field = "document";
};

void require_not_stopped() {
  if (const int signal = core::stop_signal()) throw core::StoppedBySignal("stopped while texts were read", signal);
}

/// All of it, for as long as nobody asks to stop: a read that waits would not hear that.
std::string read_stdin() {
  constexpr int kListenMilliseconds = 100;
  std::string text;
  std::array<char, 65536> bytes;
  while (true) {
    require_not_stopped();
    pollfd input{STDIN_FILENO, POLLIN, 0};
    if (::poll(&input, 1, kListenMilliseconds) <= 0) continue;
    const ssize_t length = ::read(STDIN_FILENO, bytes.data(), bytes.size());
    if (length < 0 && errno != EINTR) throw core::DataError(std::string("stdin: cannot read: ") + std::strerror(errno));
    if (length == 0) return text;
    if (length > 0) text.append(bytes.data(), static_cast<size_t>(length));
  }
}

std::string read_input(const std::string& path) { return path == "-" ? read_stdin() : core::read_file(path); }

std::vector<InputDocument> read_documents(const SummarizeOptions& options) {
  if (options.input_format.empty() && is_table(options.input)) return read_table(options.input, options.field);
  const InputFormat format = options.input_format == "lines"      ? InputFormat::kLines
                             : options.input_format == "document" ? InputFormat::kDocument
                             : options.input_format == "jsonl"    ? InputFormat::kJsonl
                                                                  : format_of(options.input);
  const std::string name = options.input == "-" ? "stdin" : options.input;
  std::vector<InputDocument> documents = parse_documents(read_input(options.input), name, format, options.field);
  if (options.input_format.empty() && format == InputFormat::kLines && looks_like_one_text(documents)) {
    core::log_warning(name +
                      ": each line is summarized by itself, and these look like lines of one text: "
                      "--input-format document takes them as one (--input-format lines silences this)");
  }
  return documents;
}

/// Source ids of the documents that are not blank: a blank one has an empty summary.
struct EncodedDocuments {
  std::vector<std::vector<int32_t>> ids;
  std::vector<size_t> numbers;  ///< Which document each is.

  generate::SourceSet sources() const {
    return {static_cast<int64_t>(ids.size()), [this](int64_t i) { return std::span(ids[static_cast<size_t>(i)]); }};
  }
};

EncodedDocuments encode(const std::vector<InputDocument>& documents, const config::ExperimentConfig& config,
                        const text::Tokenizer& tokenizer, int64_t max_tokens) {
  EncodedDocuments encoded;
  int64_t cut = 0;
  size_t longest = 0;
  for (size_t i = 0; i < documents.size(); ++i) {
    require_not_stopped();
    if (documents[i].text.find_first_not_of(" \t\r\n\f\v") == std::string::npos) continue;
    text::TruncatedIds ids =
        tokenizer.encode_truncated(config.data.source_prefix + documents[i].text, static_cast<size_t>(max_tokens));
    if (ids.full_length > ids.ids.size()) {
      ++cut;
      longest = std::max(longest, ids.full_length);
    }
    encoded.ids.push_back(std::move(ids.ids));
    encoded.numbers.push_back(i);
  }
  if (cut > 0) {
    core::log_warning(with_separators(cut) + " of " + with_separators(static_cast<int64_t>(documents.size())) +
                      " documents are longer than " + with_separators(max_tokens) + " tokens (the longest has " +
                      with_separators(static_cast<int64_t>(longest)) + "): what follows is not read");
  }
  return encoded;
}

/// Rank 0's ids on all ranks: the input may be a stream that only it has.
void share_ids(EncodedDocuments& encoded, parallel::Communicator& ranks) {
  if (ranks.world() == 1) return;
  const std::string own = ranks.rank() == 0 ? core::to_line(core::Json(encoded.ids)) : std::string();
  encoded.ids = core::Json::parse(ranks.gather_bytes(own).front()).get<std::vector<std::vector<int32_t>>>();
}

std::string as_text(const std::vector<InputDocument>& documents, const std::vector<Summaries>& summaries) {
  std::string text;
  for (size_t i = 0; i < documents.size(); ++i) {
    std::string line = summaries[i].empty() ? "" : summaries[i].front().text;
    std::replace(line.begin(), line.end(), '\n', ' ');
    text.append(line).append("\n");
  }
  return text;
}

std::string as_json_lines(const std::vector<InputDocument>& documents, const std::vector<Summaries>& summaries) {
  std::string text;
  for (size_t i = 0; i < documents.size(); ++i) {
    core::Json line{{"id", documents[i].id}};
    line.update(to_json(summaries[i].empty() ? Summary{} : summaries[i].front()));
    for (size_t other = 1; other < summaries[i].size(); ++other) line["others"].push_back(to_json(summaries[i][other]));
    text.append(core::to_line(line)).append("\n");
  }
  return text;
}

void write_summaries(const SummarizeOptions& options, const std::vector<InputDocument>& documents,
                     const std::vector<Summaries>& summaries) {
  const bool text_output =
      options.output_format.empty() ? options.output.ends_with(".txt") : options.output_format == "text";
  const std::string result = text_output ? as_text(documents, summaries) : as_json_lines(documents, summaries);
  if (options.output == "-") {
    print(result);
  } else {
    core::write_file(options.output, result);
  }
}

/// Rank 0 reads and writes; all summarize.
void summarize_as_rank(const SummarizeOptions& options, const config::ExperimentConfig& config,
                       const ComputeDevice& device, parallel::Communicator& ranks) {
  const bool first = ranks.rank() == 0;
  const ModelFiles files = open_model_files(options.model);
  std::vector<InputDocument> documents;
  if (first) load_as_rank(ranks, [&] { documents = read_documents(options); });
  std::optional<model::LoadedModel> loaded;
  load_as_rank(ranks, [&] { loaded = load_for_generation(files, config.train.precision, device.device); });
  const model::ModelFacts& facts = loaded->model->facts();
  const generate::ResolvedSettings resolved = resolve_generation(config.generation, files, facts);
  EncodedDocuments encoded;
  if (first) {
    core::log_info("weights: " + files.folder.path);
    core::log_debug("\n" + generation_table(resolved.origins));
    Warnings warnings;
    log_and_add(warnings, generation_warnings(resolved, files, facts));
    const int64_t most = std::min(config.data.max_source_tokens, facts.max_source_tokens);
    load_as_rank(ranks, [&] {
      encoded = encode(documents, config, *files.tokenizer, most);
      for (const std::vector<int32_t>& ids : encoded.ids) check_vocabulary(ids, facts, files.folder.path);
    });
  }
  share_ids(encoded, ranks);
  const Summarizer summarizer{*loaded->model, resolved.settings, *files.tokenizer, core::system_clock()};
  SummarizedDocuments done = summarize_on_ranks(summarizer, encoded.sources(), "summarize", nullptr, ranks);
  if (!first) return;
  std::vector<Summaries> summaries(documents.size());
  for (size_t i = 0; i < done.summaries.size(); ++i) summaries[encoded.numbers[i]] = std::move(done.summaries[i]);
  write_summaries(options, documents, summaries);
}

int run_summarize(const SummarizeOptions& options, const std::vector<std::string>& overrides) {
  config::ExperimentConfig config = config::load_arguments(overrides);
  config.model.checkpoint = options.model;  // so that ranks with different ones are found
  set_threads(config.run.threads);
  run_on_ranks(config, [&](parallel::Communicator& ranks, const ComputeDevice& device) {
    summarize_as_rank(options, config, device, ranks);
  });
  return 0;
}

}  // namespace

void add_summarize_command(CommandLine& line) {
  auto options = std::make_shared<SummarizeOptions>();
  CLI::App* command =
      add_command(line.program, "summarize", "Summarize texts.",
                  worked_examples("echo \"A long text ...\" | txtsum summarize --model runs/quickstart/model",
                                  "txtsum summarize --model facebook/bart-large-cnn --input-format document "
                                  "--input article.txt generation.beams=6"));
  command->add_option("--model", options->model, "Hub folder or id, a step's or a run's folder.")->required();
  command->add_option("--input", options->input, "File or folder of texts; - is stdin.")->capture_default_str();
  command->add_option("--output", options->output, "File of summaries; - is stdout.")->capture_default_str();
  command
      ->add_option("--input-format", options->input_format,
                   "lines (a text a line), document (all of it is one text), or jsonl. Default: what the file's ending "
                   "says (.jsonl, .md; .json, .csv, .tsv, .parquet, .arrow, .feather and data folders are rows with "
                   "columns), else lines.")
      ->check(CLI::IsMember({"lines", "document", "jsonl"}));
  command
      ->add_option(
          "--output-format", options->output_format,
          "jsonl ({\"id\", \"summary\", \"score\", \"token_ids\"} a line) or text (a summary a line). Default: "
          "text for a file that ends in .txt, else jsonl.")
      ->check(CLI::IsMember({"jsonl", "text"}));
  command->add_option("--field", options->field, "Field of the text in JSON lines, or the column of rows.")
      ->capture_default_str();
  command->allow_extras();
  command->footer(
      "key=value arguments of the sections generation, data and run change how (docs/config_reference.md).\n\n" +
      command->get_footer());
  command->callback([&line, command, options] {
    line.run = [command, options] { return run_summarize(*options, command->remaining()); };
  });
}

}  // namespace txtsum::app
