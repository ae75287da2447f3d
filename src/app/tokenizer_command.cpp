#include <filesystem>
#include <fstream>
#include <iostream>
#include <limits>

#include "app/command.h"
#include "txtsum/app/table.h"
#include "txtsum/core/error.h"
#include "txtsum/core/log.h"
#include "txtsum/core/parse_json.h"
#include "txtsum/core/stop_signal.h"
#include "txtsum/text/bpe_trainer.h"
#include "txtsum/text/tokenizer.h"

namespace txtsum::app {
namespace {

struct TokenizerOptions {
  std::vector<std::string> files;
  std::string folder;
  std::string field;
  text::BpeTrainerOptions trainer;
  bool no_special_tokens = false;
  bool keep_special_tokens = false;
  bool json = false;
  bool overwrite = false;
};

/// The texts of several files, one after the other: lines, or a field of JSON lines.
class TextFiles {
 public:
  TextFiles(const std::vector<std::string>& files, std::string field) : files_(files), field_(std::move(field)) {}

  bool next(std::string* text) {
    while (true) {
      if (!in_.is_open()) {
        if (file_ == files_.size()) return false;
        in_.open(files_[file_]);
        if (!in_) throw core::DataError(files_[file_] + ": cannot open");
        number_ = 0;
      }
      if (std::getline(in_, *text)) {
        ++number_;
        if (!field_.empty()) *text = field_of(*text);
        return true;
      }
      in_ = std::ifstream();
      ++file_;
    }
  }

 private:
  std::string field_of(const std::string& line) const {
    const core::Json json = core::Json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!json.is_object() || !json.contains(field_) || !json.at(field_).is_string()) {
      throw core::DataError(files_[file_] + ":" + std::to_string(number_) + ": wanted a JSON object with a text in '" +
                            field_ + "'");
    }
    return json.at(field_).get<std::string>();
  }

  const std::vector<std::string>& files_;
  std::string field_;
  std::ifstream in_;
  size_t file_ = 0;
  int64_t number_ = 0;
};

int run_train(const TokenizerOptions& options) {
  core::end_at_stop_signals();
  if (std::filesystem::exists(options.folder + "/tokenizer.json") && !options.overwrite) {
    throw core::UserError(options.folder + " holds a tokenizer already: take another --output, or add --overwrite");
  }
  TextFiles texts(options.files, options.field);
  const auto tokenizer = text::train_bpe([&](std::string* text) { return texts.next(text); }, options.trainer);
  tokenizer->save(options.folder);
  core::log_info(options.folder + ": " + with_separators(static_cast<long long>(tokenizer->vocab_size())) + " tokens");
  return 0;
}

int run_encode(const TokenizerOptions& options) {
  core::end_at_stop_signals();
  const auto tokenizer = text::Tokenizer::load(options.folder);
  std::string line, out;
  while (std::getline(std::cin, line)) {
    out = core::to_line(core::Json(tokenizer->encode(line, !options.no_special_tokens)));
    print(out.append("\n"));
  }
  return 0;
}

/// The ids of a JSON array; each must be a token's.
std::vector<int32_t> ids_of(const std::string& line, const std::string& where, const text::Tokenizer& tokenizer) {
  const core::Json json = core::parse_json(line, where);
  if (!json.is_array()) throw core::DataError(where + ": wanted a JSON array of ids, found " + line.substr(0, 60));
  std::vector<int32_t> ids;
  for (const core::Json& id : json) {
    const bool in_range = id.is_number_integer() && id >= 0 && id <= std::numeric_limits<int32_t>::max();
    if (!in_range || !tokenizer.id_to_token(id.get<int32_t>())) {
      throw core::DataError(where + ": " + core::to_line(id) + " is not the id of a token; the vocabulary has " +
                            with_separators(static_cast<long long>(tokenizer.vocab_size())));
    }
    ids.push_back(id.get<int32_t>());
  }
  return ids;
}

int run_decode(const TokenizerOptions& options) {
  core::end_at_stop_signals();
  const auto tokenizer = text::Tokenizer::load(options.folder);
  std::string line;
  for (int64_t number = 1; std::getline(std::cin, line); ++number) {
    const std::vector<int32_t> ids = ids_of(line, "stdin:" + std::to_string(number), *tokenizer);
    std::string text = tokenizer->decode(ids, !options.keep_special_tokens);
    if (options.json) text = core::to_line(core::Json(text));
    print(text.append("\n"));
  }
  return 0;
}

}  // namespace

void add_tokenizer_command(CommandLine& line) {
  auto options = std::make_shared<TokenizerOptions>();
  CLI::App* command =
      add_command(line.program, "tokenizer", "Train a byte-level BPE tokenizer, or use one.",
                  worked_examples("txtsum tokenizer train --output my-tokenizer --vocab-size 16000 corpus.txt",
                                  "echo \"Hello world\" | txtsum tokenizer encode configs/models/txtsum-mini"));
  command->require_subcommand(1);

  CLI::App* train = add_command(
      *command, "train", "Train a tokenizer with BART's conventions and write its folder.",
      worked_examples(
          "txtsum tokenizer train --output my-tokenizer corpus.txt",
          "txtsum tokenizer train --output my-tokenizer --field document data/debian_synopses/train.jsonl"));
  train->add_option("FILES", options->files, "Texts, one a line.")->required()->check(CLI::ExistingFile);
  train->add_option("--output", options->folder, "Folder for the tokenizer's files.")->required();
  train->add_option("--vocab-size", options->trainer.vocab_size, "Tokens in all.")
      ->check(CLI::Range(261, 10'000'000))
      ->capture_default_str();
  train->add_option("--min-frequency", options->trainer.min_frequency, "Least count of a pair that is merged.")
      ->check(CLI::Range(1, 1'000'000'000))
      ->capture_default_str();
  train->add_option("--field", options->field, "The files are JSON lines, and this field has the text.");
  train->add_flag("--overwrite", options->overwrite, "Replace a tokenizer in the folder.");
  train->callback([&line, options] { line.run = [options] { return run_train(*options); }; });

  CLI::App* encode =
      add_command(*command, "encode", "Read lines from stdin, print one JSON array of ids a line.",
                  worked_examples("echo \"Hello world\" | txtsum tokenizer encode configs/models/txtsum-mini",
                                  "txtsum tokenizer encode my-tokenizer --no-special-tokens < corpus.txt"));
  encode
      ->add_option("FOLDER", options->folder,
                   "Folder with tokenizer.json, spiece.model or sentencepiece.bpe.model, or vocab.json and merges.txt.")
      ->required();
  encode->add_flag("--no-special-tokens", options->no_special_tokens,
                   "Without those around a text, such as <s> and </s>.");
  encode->callback([&line, options] { line.run = [options] { return run_encode(*options); }; });

  CLI::App* decode =
      add_command(*command, "decode", "Read JSON arrays of ids from stdin, print their texts.",
                  worked_examples("echo \"[0, 42, 2]\" | txtsum tokenizer decode configs/models/txtsum-mini",
                                  "txtsum tokenizer decode my-tokenizer --json < ids.jsonl"));
  decode
      ->add_option("FOLDER", options->folder,
                   "Folder with tokenizer.json, spiece.model or sentencepiece.bpe.model, or vocab.json and merges.txt.")
      ->required();
  decode->add_flag("--keep-special-tokens", options->keep_special_tokens, "Print special tokens too.");
  decode->add_flag("--json", options->json,
                   "Print each text as a JSON string, so that line breaks in it stay one line.");
  decode->callback([&line, options] { line.run = [options] { return run_decode(*options); }; });
}

}  // namespace txtsum::app
