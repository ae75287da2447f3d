#include "app/model_writer.h"

#include <filesystem>
#include <system_error>

#include "txtsum/config/dump.h"
#include "txtsum/config/field.h"
#include "txtsum/core/build_info.h"
#include "txtsum/core/error.h"
#include "txtsum/core/file.h"
#include "txtsum/io/replace_folder.h"
#include "txtsum/io/safetensors_writer.h"
#include "txtsum/io/weight_folder.h"

namespace txtsum::app {
namespace {

namespace fs = std::filesystem;

void write_small_files(const std::string& folder, const core::Json& model_config, const ModelFiles& files,
                       const config::ExperimentConfig& config) {
  core::write_file(folder + "/config.json", core::to_pretty_text(model_config));
  core::write_file(folder + "/generation_config.json",
                   core::to_pretty_text(merged_generation_config(config.generation, files)));
  files.tokenizer->save(folder);
}

template <typename Value>
void set(core::Json& json, const char* key, const std::optional<Value>& value) {
  if (value) json[key] = *value;
}

/// -1 says none, which transformers writes as null.
void set_id(core::Json& json, const char* key, const std::optional<int64_t>& id) {
  if (id) json[key] = *id < 0 ? core::Json(nullptr) : core::Json(*id);
}

}  // namespace

core::Json merged_generation_config(const config::GenerationConfig& generation, const ModelFiles& files) {
  core::Json json = files.generation_config;
  if (json.is_null()) {
    // The old place of these settings: what config.json says has to go on being said.
    json = core::Json::object();
    for (const char* key : {"bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id",
                            "forced_bos_token_id", "forced_eos_token_id", "num_beams", "max_length", "min_length",
                            "length_penalty", "early_stopping", "no_repeat_ngram_size", "encoder_no_repeat_ngram_size",
                            "repetition_penalty", "renormalize_logits", "suppress_tokens", "bad_words_ids"}) {
      if (files.config.contains(key)) json[key] = files.config.at(key);
    }
  }
  set(json, "num_beams", generation.beams);
  if (generation.max_new_tokens) {
    json["max_length"] = *generation.max_new_tokens + 1;
    json.erase("max_new_tokens");
  }
  if (generation.min_new_tokens) {
    json["min_length"] = *generation.min_new_tokens + 1;
    json.erase("min_new_tokens");
  }
  set(json, "length_penalty", generation.length_penalty);
  if (generation.early_stopping) {
    json["early_stopping"] = *generation.early_stopping == config::BeamStop::kNever
                                 ? core::Json("never")
                                 : core::Json(*generation.early_stopping == config::BeamStop::kTrue);
  }
  set(json, "no_repeat_ngram_size", generation.no_repeat_ngram);
  set(json, "encoder_no_repeat_ngram_size", generation.encoder_no_repeat_ngram);
  set(json, "repetition_penalty", generation.repetition_penalty);
  set(json, "renormalize_logits", generation.renormalize_logits);
  set_id(json, "forced_bos_token_id", generation.forced_bos_token_id);
  set_id(json, "forced_eos_token_id", generation.forced_eos_token_id);
  set_id(json, "decoder_start_token_id", generation.decoder_start_token_id);
  set(json, "suppress_tokens", generation.suppress_tokens);
  set(json, "bad_words_ids", generation.bad_words_ids);
  return json;
}

void write_step_files(const std::string& folder, const model::LoadedModel& loaded, const ModelFiles& files,
                      const config::ExperimentConfig& config) {
  write_small_files(folder, model::config_to_save(loaded, at::kFloat), files, config);
  core::write_file(folder + "/" + kStepConfigFile, config::to_yaml(config));
}

void write_finished_model(const std::string& step_folder, const RunFolder& run, const model::LoadedModel& loaded,
                          const ModelFiles& files, const config::ExperimentConfig& config) {
  const at::ScalarType dtype = scalar_type(config.model.save_precision.value_or(config.train.precision));
  const io::WeightFolder weights(step_folder);
  std::vector<io::NamedTensor> tensors;
  for (const std::string& name : weights.names()) {
    const bool is_parameter = loaded.model->arena().layout().find(name) != nullptr;
    tensors.push_back({name, weights.tensor(name), dtype, is_parameter});
  }
  const std::string target = run.file(kModelFolder);
  const bool renames = run.publish_mode() == io::PublishMode::kRename;
  const std::string folder = renames ? run.file(".model.partial") : target;
  std::error_code error;
  fs::remove_all(folder, error);
  fs::create_directories(folder, error);
  if (error) throw core::DataError(folder + ": cannot make the folder: " + error.message());
  io::save_sharded(folder, tensors, io::kMaxShardBytes, io::PublishMode::kInPlace);
  write_small_files(folder, model::config_to_save(loaded, dtype), files, config);
  if (!renames) return;
  core::sync_path(folder);
  io::replace_folder(folder, target);
}

}  // namespace txtsum::app
