#include "app/training_inputs.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "app/freeze_report.h"
#include "app/rank_guard.h"
#include "app/split_evaluation.h"
#include "app/spread_summaries.h"
#include "txtsum/core/error.h"
#include "txtsum/core/file.h"
#include "txtsum/core/json.h"
#include "txtsum/core/log.h"
#include "txtsum/ops/device.h"
#include "txtsum/ops/varlen_attention.h"
#include "txtsum/train/checkpoint.h"

namespace txtsum::app {
namespace {

void load_data(const config::ExperimentConfig& config, TrainingInputs& inputs) {
  const text::Tokenizer& tokenizer = *inputs.files.tokenizer;
  inputs.train_data = load_split(config, Split::kTrain, tokenizer);
  std::vector<data::NamedDataset> splits{{"train", &inputs.train_data.dataset}};
  if (config.data.has_validation()) {
    inputs.validation_data = load_split(config, Split::kValidation, tokenizer);
    splits.push_back({"validation", &inputs.validation_data->dataset});
  }
  if (config.data.has_test()) {
    inputs.test_data = load_split(config, Split::kTest, tokenizer);
    splits.push_back({"test", &inputs.test_data->dataset});
  }
  for (const data::NamedDataset& split : splits) {
    check_vocabulary(split.dataset->table().ids, inputs.loaded->model->facts(), inputs.files.folder.path);
  }
  inputs.data_report = data::make_data_report(splits);
  inputs.data_fingerprint = core::content_hash(tokenizer.fingerprint() + " " + inputs.train_data.dataset.fingerprint());
}

}  // namespace

TrainingInputs load_training(const config::ExperimentConfig& config, const ComputeDevice& device) {
  TrainingInputs inputs;
  inputs.files = open_model_files(config.model.checkpoint,
                                  {.weights = config.model.init == config::ModelInit::kPretrained, .tokenizer = true});
  inputs.loaded = load_for_training(inputs.files, config, device.device);
  const model::ModelFacts& facts = inputs.loaded->model->facts();
  check_lengths(config.data, facts);
  if (config.train.cache_encoder) train::check_encoder_is_fixed(*inputs.loaded->model);
  if (device.device.is_cuda() && !facts.drops_probabilities) {
    // While the data are read.
    ops::compile_attention_ahead(facts.head_width, inputs.loaded->model->arena().dtype());
  }
  inputs.generation = resolve_generation(config.generation, inputs.files, facts);
  load_data(config, inputs);
  return inputs;
}

void check_same_data(const std::string& step_folder, const TrainingInputs& inputs) {
  if (train::read_training_state(step_folder).config_fingerprint == inputs.data_fingerprint) return;
  throw core::UserError(step_folder +
                        " was trained on other data or with another tokenizer: the examples or tokens that data.train "
                        "gives now are not the same. Restore them, or start anew with run.resume=never");
}

train::TrainerSettings trainer_settings(const TrainingInputs& inputs, const config::ExperimentConfig& config) {
  train::TrainerSettings settings;
  settings.train = config.train;
  settings.optimizer = config.optimizer;
  settings.schedule = config.schedule;
  settings.parallel = config.parallel;
  settings.validation = config.validation;
  settings.checkpoint = config.checkpoint;
  settings.early_stopping = config.early_stopping;
  settings.seed = static_cast<uint64_t>(config.run.seed);
  settings.checkpoint_folder = config.run.output + "/" + kCheckpointsFolder;
  settings.publish_mode = publish_mode(config.checkpoint.publish);
  settings.config_fingerprint = inputs.data_fingerprint;
  return settings;
}

std::optional<train::EncoderCacheFill> fill_encoder_cache(TrainingInputs& inputs,
                                                          const config::ExperimentConfig& config,
                                                          parallel::Communicator& ranks, const core::Clock& clock) {
  if (!config.train.cache_encoder) return std::nullopt;
  const data::Dataset& dataset = inputs.train_data.dataset;
  inputs.encoder_cache = std::make_unique<train::EncoderCache>(*inputs.loaded->model, inputs.loaded->config, dataset,
                                                               config.data.cache_folder());
  const bool speaks = ranks.rank() == 0;
  if (speaks) core::log_info(encoder_cache_text(inputs.encoder_cache->file()));
  std::optional<ProgressLine> line;
  const int64_t tokens = inputs.encoder_cache->file().shape().rows();
  if (speaks) line.emplace("encode", "tokens", tokens / ranks.world(), clock);
  const train::EncoderCacheFill fill = inputs.encoder_cache->fill(ranks, [&](int64_t done) {
    if (line) line->update(done, "");
  });
  if (line) line->finish();
  if (speaks) core::log_info(encoder_fill_text(fill, dataset.size()));
  return fill;
}

train::TrainerParts trainer_parts(TrainingInputs& inputs, const config::ExperimentConfig& config,
                                  parallel::Communicator& ranks, const core::Clock& clock) {
  inputs.batches = std::make_unique<train::DatasetBatches>(
      inputs.train_data.dataset, config.train, static_cast<uint64_t>(config.run.seed), config.data.prefetch_batches,
      train::RankShare{ranks.rank(), ranks.world()}, inputs.encoder_cache.get());
  if (inputs.validation_data) {
    inputs.validation =
        std::make_unique<train::DatasetMicroBatches>(inputs.validation_data->dataset, config.train.micro_batch_tokens);
  }
  return {.model = *inputs.loaded->model,
          .batches = *inputs.batches,
          .communicator = ranks,
          .clock = clock,
          .validation = inputs.validation.get(),
          .evaluator = {},
          .write_folder = {},
          .initial_masters = model::initial_masters(*inputs.loaded),
          .sources = inputs.loaded->sources,
          .observers = {}};
}

train::Evaluator evaluator_of(TrainingInputs& inputs, const config::ExperimentConfig& config,
                              parallel::Communicator& ranks, const core::Clock& clock,
                              std::function<void(const metrics::Work&)> on_work) {
  if (!inputs.validation_data) return {};
  return [&inputs, &config, &ranks, &clock, on_work = std::move(on_work)](int64_t) {
    generate::GenerationSettings settings = inputs.generation.settings;
    if (config.validation.beams) settings.beams = *config.validation.beams;
    settings.hypotheses = std::min(settings.hypotheses, settings.beams);
    const Summarizer summarizer{*inputs.loaded->model, settings, *inputs.files.tokenizer, clock};
    const data::Dataset& dataset = inputs.validation_data->dataset;
    const generate::SourceSet documents = sources_of(dataset, config.validation.max_generated_examples);
    const auto [summaries, work] = summarize_on_ranks(summarizer, documents, "validate", nullptr, ranks);
    on_work(work);
    metrics::RougeOptions options = rouge_options(config.metrics, 0);
    options.bootstrap.resamples = 0;
    const metrics::CorpusRouge rouge = score_summaries(dataset, summaries, options);
    std::vector<std::pair<std::string, double>> metrics;
    for (const metrics::CorpusScore& score : rouge.scores) metrics.emplace_back(score.name, score.f);
    metrics.emplace_back("gen_len", mean_generated_length(summaries, inputs.loaded->model->facts().pad_id));
    return metrics;
  };
}

SplitRequest load_test_split(TrainingInputs& inputs, const config::ExperimentConfig& config,
                             const ComputeDevice& device) {
  inputs.loaded.reset();  // Its weights are the last ones; the finished model's are on the disk.
  inputs.files = open_model_files(config.run.output + "/" + kModelFolder);
  inputs.loaded = load_for_generation(inputs.files, config.train.precision, device.device);
  return {config,      inputs.files, *inputs.loaded->model, inputs.generation.settings, inputs.test_data->dataset,
          Split::kTest};
}

void follow_training(const config::ExperimentConfig& config, const RunStart& start, parallel::Communicator& ranks,
                     const ComputeDevice& device, const core::Clock& clock) {
  if (config.train.deterministic) ops::use_deterministic_kernels();
  set_threads(config.run.threads);
  TrainingInputs inputs;
  load_as_rank(ranks, [&] { inputs = load_training(config, device); });
  if (!start.resume_from.empty()) check_same_data(start.resume_from, inputs);
  fill_encoder_cache(inputs, config, ranks, clock);
  {
    train::TrainerParts parts = trainer_parts(inputs, config, ranks, clock);
    parts.evaluator = evaluator_of(inputs, config, ranks, clock, [](const metrics::Work&) {});
    parts.write_folder = [](const std::string&) {};
    train::TrainerSettings settings = trainer_settings(inputs, config);
    settings.resume_from = start.resume_from;
    train::Trainer(std::move(settings), std::move(parts)).run();
  }
  if (!scores_test_split(inputs, config)) return;
  ranks.barrier();  // rank 0 writes the finished model
  std::optional<SplitRequest> request;
  load_as_rank(ranks, [&] { request.emplace(load_test_split(inputs, config, device)); });
  follow_evaluation(*request, clock, ranks);
}

}  // namespace txtsum::app
