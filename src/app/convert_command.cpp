#include <filesystem>

#include "app/command.h"
#include "app/experiment.h"
#include "app/model_writer.h"
#include "txtsum/core/error.h"
#include "txtsum/core/file.h"
#include "txtsum/core/log.h"
#include "txtsum/core/stop_signal.h"
#include "txtsum/io/safetensors_writer.h"
#include "txtsum/model/long_positions.h"

namespace txtsum::app {
namespace {

namespace fs = std::filesystem;

struct ConvertOptions {
  std::string source, target, to = "led";
  model::LongPositions sizes;
};

int run_convert(const ConvertOptions& options) {
  core::end_at_stop_signals();
  if (fs::exists(options.target) && !fs::is_empty(options.target)) {
    throw core::UserError(options.target + " is there already: name another folder, or remove it");
  }
  const ModelFiles files = open_model_files(options.source);
  model::LoadRequest request;
  request.folder = files.folder.path;
  const model::LoadedModel bart = model::load_model(request);
  const model::ConvertedModel converted =
      options.to == "led" ? model::led_from_bart(bart, options.sizes) : model::longer_bart(bart, options.sizes);
  std::vector<io::NamedTensor> tensors;
  for (const auto& [name, tensor] : converted.tensors) {
    tensors.push_back({name, tensor, std::nullopt, name != "final_logits_bias"});
  }
  // Under another name until it is whole.
  const std::string partial = options.target + ".partial";
  fs::remove_all(partial);
  fs::create_directories(partial);
  io::save_sharded(partial, tensors, io::kMaxShardBytes, io::PublishMode::kInPlace);
  core::write_file(partial + "/config.json", core::to_pretty_text(converted.config));
  if (!files.generation_config.is_null()) {
    core::write_file(partial + "/generation_config.json", core::to_pretty_text(files.generation_config));
  }
  files.tokenizer->save(partial);
  fs::remove(options.target);  // an empty folder
  fs::rename(partial, options.target);
  core::log_info(options.target + ": " + options.to + " with " + std::to_string(options.sizes.max_source_tokens) +
                 " source positions, from " + files.folder.path);
  return 0;
}

}  // namespace

void add_convert_command(CommandLine& line) {
  auto options = std::make_shared<ConvertOptions>();
  CLI::App* command = add_command(line.program, "convert", "Make a model for long documents from a BART folder.",
                                  worked_examples("txtsum convert facebook/bart-base models/led-base --to led",
                                                  "txtsum convert facebook/bart-base models/bart-4096 --to bart "
                                                  "--max-source-tokens 4096"));
  command->add_option("SOURCE", options->source, "A BART: folder, step, run or Hub id in the local cache.")->required();
  command->add_option("TARGET", options->target, "The folder to write; it must not be there, or be empty.")->required();
  command
      ->add_option("--to", options->to,
                   "led: windowed attention in the encoder, with global tokens; bart: full attention, more positions.")
      ->check(CLI::IsMember({"led", "bart"}))
      ->capture_default_str();
  command
      ->add_option("--max-source-tokens", options->sizes.max_source_tokens,
                   "Positions of the encoder; the BART's are repeated.")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 22))
      ->capture_default_str();
  command->add_option("--window", options->sizes.window, "Of an LED: tokens that a token sees, half on each side.")
      ->capture_default_str();
  command->callback([&line, options] { line.run = [options] { return run_convert(*options); }; });
}

}  // namespace txtsum::app
