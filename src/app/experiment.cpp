#include "app/experiment.h"

#include <ATen/Parallel.h>
#include <c10/core/ScalarType.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "txtsum/core/error.h"
#include "txtsum/core/log.h"
#include "txtsum/model/freezing.h"

namespace txtsum::app {

ModelFiles open_model_files(const std::string& argument, RequiredParts required) {
  ModelFiles files;
  files.folder = resolve_model_folder(argument, required);
  const std::string& path = files.folder.path;
  files.config = core::read_json_file(path + "/config.json");
  if (std::filesystem::exists(path + "/generation_config.json")) {
    files.generation_config = core::read_json_file(path + "/generation_config.json");
  }
  files.tokenizer = text::Tokenizer::load(path);
  return files;
}

at::ScalarType scalar_type(config::Precision precision) {
  switch (precision) {
    case config::Precision::kFp32:
      return at::kFloat;
    case config::Precision::kBf16:
      return at::kBFloat16;
    case config::Precision::kFp16:
      return at::kHalf;
  }
  return at::kFloat;
}

namespace {

/// model.global_tokens as ids. Throws UserError for a text that is not one token.
std::optional<model::GlobalTokenChoice> global_tokens_of(const std::vector<std::string>& words,
                                                         const text::Tokenizer& tokenizer) {
  if (words.empty()) return std::nullopt;
  model::GlobalTokenChoice choice;
  choice.first = false;
  for (const std::string& word : words) {
    if (word == "none") continue;
    if (word == "first") {
      choice.first = true;
    } else if (const std::optional<int32_t> id = tokenizer.token_to_id(word)) {
      choice.ids.push_back(*id);
    } else {
      throw core::UserError("model.global_tokens: '" + word + "' is not a token of the model's tokenizer");
    }
  }
  if (choice.none()) {
    core::log_warning(
        "model.global_tokens=[none]: no token sees a whole document; published LED models were trained with "
        "the first token global");
  }
  return choice;
}

}  // namespace

model::LoadRequest training_request(const ModelFiles& files, const config::ExperimentConfig& config) {
  model::LoadRequest request;
  request.folder = files.folder.path;
  request.random_weights = config.model.init == config::ModelInit::kRandom;
  request.seed = static_cast<uint64_t>(config.run.seed);
  request.dtype = scalar_type(config.train.precision);
  request.freeze = config.model.freeze;
  request.global_tokens = global_tokens_of(config.model.global_tokens, *files.tokenizer);
  request.usual_random_blocks.seed = request.seed;
  if (config.model.random_blocks) {
    const bool seeded = *config.model.random_blocks == config::RandomBlocks::kSeeded;
    request.random_blocks.emplace();
    if (seeded) request.random_blocks->seed = request.seed;
  }
  request.dropout = config.model.dropout;
  request.attention_dropout = config.model.attention_dropout;
  request.activation_dropout = config.model.activation_dropout;
  request.encoder_dropout = config.model.encoder_dropout;
  return request;
}

model::LoadedModel load_for_training(const ModelFiles& files, const config::ExperimentConfig& config,
                                     const at::Device& device) {
  model::LoadRequest request = training_request(files, config);
  request.device = device;
  return model::load_model(request);
}

model::LoadedModel load_for_generation(const ModelFiles& files, config::Precision precision, const at::Device& device) {
  model::LoadRequest request;
  request.device = device;
  request.folder = files.folder.path;
  request.dtype = scalar_type(precision);
  return model::load_model(request);
}

void check_vocabulary(std::span<const int32_t> ids, const model::ModelFacts& facts, const std::string& folder) {
  // Not the tokenizer's size: published ones have more tokens than their model, and never give those.
  const auto largest = std::max_element(ids.begin(), ids.end());
  if (largest == ids.end() || *largest < facts.vocabulary) return;
  throw core::DataError(folder + ": the tokenizer gives a text the id " + std::to_string(*largest) +
                        ", and the model's vocabulary (vocab_size in config.json) has " +
                        std::to_string(facts.vocabulary) + ": model and tokenizer do not belong together");
}

void check_lengths(const config::DataConfig& data, const model::ModelFacts& facts) {
  const auto check = [](const char* key, int64_t value, int64_t limit) {
    if (value <= limit) return;
    throw core::UserError(std::string(key) + "=" + std::to_string(value) + ": the model has " + std::to_string(limit) +
                          " positions. Set " + key + "=" + std::to_string(limit) + " or less");
  };
  check("data.max_source_tokens", data.max_source_tokens, facts.max_source_tokens);
  check("data.max_target_tokens", data.max_target_tokens, facts.max_target_tokens);
}

std::string task_specific_note(const core::Json& config) {
  const auto tasks = config.find("task_specific_params");
  if (tasks == config.end() || !tasks->is_object()) return "";
  // Their words for what section generation has.
  static const std::map<std::string, std::pair<const char*, int64_t>> kKeys{
      {"num_beams", {"beams", 0}},
      {"max_length", {"max_new_tokens", -1}},
      {"min_length", {"min_new_tokens", -1}},
      {"length_penalty", {"length_penalty", 0}},
      {"early_stopping", {"early_stopping", 0}},
      {"no_repeat_ngram_size", {"no_repeat_ngram", 0}},
      {"repetition_penalty", {"repetition_penalty", 0}}};
  std::string note;
  for (const auto& [task, values] : tasks->items()) {
    if (!task.starts_with("summarization") || !values.is_object()) continue;
    std::string line;
    for (const auto& [key, value] : values.items()) {
      if (key == "prefix" && value.is_string()) line += " data.source_prefix='" + value.get<std::string>() + "'";
      const auto ours = kKeys.find(key);
      if (ours == kKeys.end()) continue;
      const core::Json shifted =
          value.is_number_integer() ? core::Json(value.get<int64_t>() + ours->second.second) : value;
      line += std::string(" generation.") + ours->second.first + "=" + core::to_line(shifted);
    }
    if (line.empty()) continue;
    note += (note.empty() ? "config.json's task_specific_params are not applied, as in transformers; to have those of "
                          : "; of ") +
            task + ":" + line;
  }
  return note;
}

generate::ResolvedSettings resolve_generation(const config::GenerationConfig& generation, const ModelFiles& files,
                                              const model::ModelFacts& facts) {
  generate::ResolvedSettings resolved =
      generate::resolve_settings(generation, files.generation_config, files.config, facts);
  if (const std::string note = task_specific_note(files.config); !note.empty()) core::log_info(note);
  return resolved;
}

const char* split_name(Split split) {
  switch (split) {
    case Split::kTrain:
      return "train";
    case Split::kValidation:
      return "validation";
    case Split::kTest:
      return "test";
  }
  return "";
}

namespace {

/// Files of a split, and the part of them that is its own.
void choose_rows(const config::DataConfig& section, Split split, data::DatasetOptions& options) {
  const std::vector<std::string>& own = split == Split::kTrain        ? section.train
                                        : split == Split::kValidation ? section.validation
                                                                      : section.test;
  const double share = split == Split::kValidation ? section.validation_share
                       : split == Split::kTest     ? section.test_share
                                                   : 0.0;
  const bool takes_share = own.empty() && share > 0;
  options.files = takes_share ? section.train : own;
  options.folder_split = split_name(takes_share ? Split::kTrain : split);
  // Each end of [0, 1) belongs to one, so that changing a share leaves the other split as it is.
  if (split == Split::kTrain) options.share = {section.test_share, 1.0 - section.validation_share};
  if (takes_share && split == Split::kTest) options.share = {0.0, share};
  if (takes_share && split == Split::kValidation) options.share = {1.0 - share, 1.0};
}

}  // namespace

data::LoadedDataset load_split(const config::ExperimentConfig& config, Split split, const text::Tokenizer& tokenizer) {
  const config::DataConfig& section = config.data;
  data::DatasetOptions options;
  choose_rows(section, split, options);
  if (options.files.empty()) {
    throw core::UserError(std::string("data.") + split_name(split) +
                          " names no file: set it in the config, or as data." + split_name(split) + "=FILE");
  }
  options.columns.source = section.source_column;
  options.columns.target = section.summary_column;
  options.columns.id = section.id_column;
  options.tokenizer_fingerprint = tokenizer.fingerprint();
  options.source_prefix = section.source_prefix;
  options.max_source_tokens = section.max_source_tokens;
  options.max_target_tokens = section.max_target_tokens;
  options.max_examples = split == Split::kTrain        ? section.max_train_examples
                         : split == Split::kValidation ? section.max_validation_examples
                                                       : section.max_test_examples;
  options.fail_on_empty = section.empty == config::EmptyPolicy::kFail;
  options.keep_texts = split != Split::kTrain;
  options.cache_folder = section.cache_folder();
  options.threads = static_cast<int>(config.run.threads);
  data::LoadedDataset loaded = data::load_dataset(options, data::encode_with(tokenizer));
  for (size_t i = 0; i < loaded.columns.size(); ++i) {
    const data::ColumnChoice& choice = loaded.columns[i];
    core::log_info(options.files[i] + ": " + choice.source + " -> " + choice.target +
                   (choice.found_by_name ? " (columns found by their names)" : "") +
                   (loaded.was_cached ? ", tokens from the cache" : ""));
  }
  return loaded;
}

int set_threads(int64_t threads) {
  if (threads > 0) at::set_num_threads(static_cast<int>(threads));
  return at::get_num_threads();
}

metrics::EncoderDecoderShape shape_of(const model::ModelFacts& facts) {
  metrics::EncoderDecoderShape shape;
  shape.model_width = facts.width;
  shape.attention_width = facts.attention_width;
  shape.encoder_feed_forward = facts.encoder_feed_forward;
  shape.decoder_feed_forward = facts.decoder_feed_forward;
  shape.encoder_layers = facts.encoder_layers;
  shape.decoder_layers = facts.decoder_layers;
  shape.vocabulary = facts.vocabulary;
  if (facts.gated_feed_forward) shape.feed_forward_matrices = 3;
  if (!facts.windows.empty()) shape.encoder_projections += 2;  // the global tokens' keys and values
  return shape;
}

metrics::TrainableParts trainable_parts(const model::ModelFacts& facts, const model::ArenaLayout& layout) {
  metrics::TrainableParts parts;
  parts.embeddings = parts.output_table = false;
  parts.encoder_layers.assign(static_cast<size_t>(facts.encoder_layers), false);
  parts.decoder_layers.assign(static_cast<size_t>(facts.decoder_layers), false);
  bool own_head = false;
  for (const model::ArenaEntry& entry : layout.entries()) {
    const bool is_head = entry.name == "lm_head.weight";
    if (is_head) own_head = true;
    if (!entry.in_trainable_range) continue;
    if (const auto place = model::layer_of(entry.name)) {
      (place->side == "encoder" ? parts.encoder_layers : parts.decoder_layers)[static_cast<size_t>(place->layer)] =
          true;
    } else if (entry.name.find("shared") != std::string::npos) {
      parts.embeddings = true;
    } else if (is_head) {
      parts.output_table = true;
    }
  }
  if (!own_head) parts.output_table = parts.embeddings;
  return parts;
}

metrics::RougeOptions rouge_options(const config::MetricsConfig& config, uint64_t seed) {
  metrics::RougeOptions options;
  options.stem = config.stemmer;
  options.sentences = config.sentences == config::Sentences::kLines ? metrics::SentenceSplit::lines
                                                                    : metrics::SentenceSplit::lines_or_rule;
  options.bootstrap.resamples = static_cast<int>(config.bootstrap_resamples);
  options.bootstrap.seed = seed;
  return options;
}

}  // namespace txtsum::app
