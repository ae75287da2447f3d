#include "txtsum/train/encoder_cache.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <numeric>
#include <vector>

#include "txtsum/core/check.h"
#include "txtsum/core/error.h"
#include "txtsum/core/file.h"
#include "txtsum/core/json.h"
#include "txtsum/core/stop_signal.h"
#include "txtsum/data/ragged_batch.h"
#include "txtsum/ops/device.h"
#include "txtsum/parallel/agreed_stop.h"

namespace txtsum::train {
namespace {

/// Raised when the same weights and ids give other outputs.
constexpr int kKeyVersion = 1;

/// config.json without what says nothing about the weights' work.
core::Json relevant(core::Json config) {
  for (const char* key : {"dtype", "torch_dtype", "transformers_version", "_name_or_path"}) config.erase(key);
  return config;
}

std::string weights_hash(const model::Seq2SeqModel& model) {
  std::string text;
  for (const std::string& name : model.encoder_parameters()) {
    const model::ArenaEntry* entry = model.arena().layout().find(name);
    TXTSUM_CHECK(entry != nullptr, name);
    const at::Tensor values = model.arena().entry_values(*entry).cpu().contiguous();
    text +=
        name + " " + core::content_hash({static_cast<const char*>(values.const_data_ptr()), values.nbytes()}) + "\n";
  }
  return core::content_hash(text);
}

std::string sources_hash(const data::Dataset& dataset) {
  std::string text;
  for (int64_t example = 0; example < dataset.size(); ++example) {
    const std::span<const int32_t> ids = dataset.source(example);
    text += core::content_hash({reinterpret_cast<const char*>(ids.data()), ids.size_bytes()});
  }
  return core::content_hash(text);
}

data::RowCacheShape shape_of(const model::Seq2SeqModel& model, const core::Json& model_config,
                             const data::Dataset& dataset) {
  check_encoder_is_fixed(model);
  data::RowCacheShape shape;
  shape.key = encoder_key(model, model_config, dataset);
  for (int64_t example = 0; example < dataset.size(); ++example) {
    shape.row_counts.push_back(dataset.source_length(example));
  }
  shape.row_bytes = model.facts().width * static_cast<int64_t>(c10::elementSize(model.arena().dtype()));
  return shape;
}

}  // namespace

void check_encoder_is_fixed(const model::Seq2SeqModel& model) {
  for (const std::string& name : model.encoder_parameters()) {
    const model::ArenaEntry* entry = model.arena().layout().find(name);
    TXTSUM_CHECK(entry != nullptr, name);
    if (entry->frozen) continue;
    throw core::UserError("train.cache_encoder=true: the encoder reads " + name +
                          ", which learns, so that its outputs change with every update. Set model.freeze=encoder, " +
                          "which includes the table of tokens, or train.cache_encoder=false");
  }
  if (model.facts().encoder_drops) {
    throw core::UserError(
        "train.cache_encoder=true: training drops in the encoder (dropout, attention_dropout, "
        "activation_dropout or layerdrop, of config.json or of section model), so that its outputs are others in every "
        "epoch. Set model.encoder_dropout=false, or "
        "train.cache_encoder=false");
  }
}

std::string encoder_key(const model::Seq2SeqModel& model, const core::Json& model_config,
                        const data::Dataset& dataset) {
  const model::Arena& arena = model.arena();
  core::Json parts;
  parts["version"] = kKeyVersion;
  parts["config"] = relevant(model_config);
  parts["weights"] = weights_hash(model);
  parts["type"] = c10::toString(arena.dtype());
  parts["device"] = arena.device().is_cuda() ? "cuda" : "cpu";
  parts["sources"] = sources_hash(dataset);
  return core::content_hash(core::to_line(parts));
}

EncoderCache::EncoderCache(const model::Seq2SeqModel& model, const core::Json& model_config,
                           const data::Dataset& dataset, const std::string& folder)
    : model_(model),
      dataset_(dataset),
      width_(model.facts().width),
      // What goes to a GPU lies in pinned memory, from which it is copied while the GPU computes.
      options_(model.arena().options().device(at::kCPU).pinned_memory(model.arena().device().is_cuda())),
      file_(folder, shape_of(model, model_config, dataset)) {}

at::Tensor EncoderCache::encode(const ops::RaggedTokens& source) const {
  try {
    return model_.encode(ops::to_device(source, model_.arena().device()), model::ForwardContext{});
  } catch (const c10::Error& error) {
    if (!ops::is_out_of_memory(error)) throw;
    throw core::EnvironmentError("out of memory while the encoder ran over " + std::to_string(source.tokens()) +
                                 " tokens for train.cache_encoder; set train.precision=bf16, or "
                                 "train.cache_encoder=false");
  }
}

std::string EncoderCache::encode_group(const data::RowCache::Group& group) const {
  const at::NoGradGuard no_grad;
  std::vector<int64_t> examples(static_cast<size_t>(group.end - group.begin));
  std::iota(examples.begin(), examples.end(), group.begin);
  const data::RaggedBatch batch = data::collate(dataset_, examples);
  const ops::RaggedTokens source =
      ops::make_ragged_tokens({batch.source_ids.begin(), batch.source_ids.end()},
                              {batch.source_offsets.begin(), batch.source_offsets.end()}, examples);
  const at::Tensor encoded_ND = encode(source);
  TXTSUM_CHECK(encoded_ND.scalar_type() == model_.arena().dtype() && encoded_ND.size(1) == model_.facts().width,
               encoded_ND.scalar_type(), " ", encoded_ND.size(1));
  const at::Tensor there_ND = encoded_ND.cpu().contiguous();
  return {static_cast<const char*>(there_ND.const_data_ptr()), there_ND.nbytes()};
}

EncoderCacheFill EncoderCache::fill(parallel::Communicator& ranks, const std::function<void(int64_t)>& progress) {
  const auto begin = std::chrono::steady_clock::now();
  ranks.set_phase(0, "outputs of the encoder");
  int64_t tokens_done = 0;
  const auto make = [&](const data::RowCache::Group& group) {
    std::string rows = encode_group(group);
    tokens_done += static_cast<int64_t>(rows.size()) / file_.shape().row_bytes;
    if (progress) progress(tokens_done);
    return rows;
  };
  const double start = static_cast<double>(ranks.rank()) / static_cast<double>(ranks.world());
  const data::RowCache::Filled filled =
      file_.fill(make, start, [&] { return core::stop_signal() != 0 || !ranks.peer_problem().empty(); });
  if (const int signal = parallel::agreed_stop_signal(ranks)) {
    throw core::StoppedBySignal("stopped while the encoder ran over the documents; its outputs so far are kept in " +
                                    file_.path() + ", start again",
                                signal);
  }
  if (const std::string problem = ranks.peer_problem(); !filled.complete && !problem.empty()) {
    throw core::RankError(problem);
  }
  TXTSUM_CHECK(filled.complete, file_.path());
  std::vector<double> sums{0.0, 0.0, 0.0};
  for (const data::RowCache::Group& group : filled.made) {
    for (int64_t example = group.begin; example < group.end; ++example) {
      const int64_t tokens = dataset_.source_length(example);
      sums[0] += 1.0;
      sums[1] += static_cast<double>(tokens);
      sums[2] += model::source_pairs(model_.facts(), tokens);
    }
  }
  ranks.all_reduce(sums);
  EncoderCacheFill result;
  result.examples = static_cast<int64_t>(sums[0]);
  result.source_tokens = static_cast<int64_t>(sums[1]);
  result.source_pairs = sums[2];
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return result;
}

at::Tensor EncoderCache::rows(std::span<const int64_t> examples) const {
  int64_t tokens = 0;
  for (const int64_t example : examples) tokens += dataset_.source_length(example);
  const at::Tensor rows_ND = at::empty({tokens, width_}, options_);
  auto* to = static_cast<std::byte*>(rows_ND.mutable_data_ptr());
  for (const int64_t example : examples) {
    const std::span<const std::byte> from = file_.rows(example);
    std::memcpy(to, from.data(), from.size());
    to += from.size();
  }
  return rows_ND;
}

at::Tensor EncoderCache::empty_rows(int64_t tokens) const { return at::zeros({tokens, width_}, options_); }

}  // namespace txtsum::train
