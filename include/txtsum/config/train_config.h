#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "txtsum/config/precision.h"

namespace txtsum::config {

class FieldVisitor;
class Complaints;

/// Order of examples within an epoch; a pure function of (seed, epoch).
enum class Sampler { kRandom, kLengthBucketed };
inline std::vector<std::string_view> choice_names(Sampler) { return {"random", "length_bucketed"}; }

/// Which activations are computed again in backward instead of kept.
enum class Recompute { kNone, kBlocks };
inline std::vector<std::string_view> choice_names(Recompute) { return {"none", "blocks"}; }

/// Section `train`: duration, batches and numerics.
///
/// Training ends at the first of the limits that are set. The share done, which schedules follow, is the largest of
/// updates / (epochs * updates an epoch), updates / max_updates, and training minutes / max_minutes; minutes count the
/// updates of all attempts, not loading, validation, generation or saving.
struct TrainConfig {
  std::optional<double> epochs;         ///< Limit in passes over the data; complete() sets 3 where no limit is set.
  std::optional<int64_t> max_updates;   ///< Limit in updates.
  std::optional<double> max_minutes;    ///< Limit in minutes of training.
  std::optional<int64_t> batch_size;    ///< Examples an update over all ranks; complete() sets 16 where neither is set.
  std::optional<int64_t> batch_tokens;  ///< Or: source + target tokens an update, at most (the token-budget batch).
  int64_t micro_batch_tokens = 16384;   ///< Source + target tokens a forward pass, at most; also for validation's loss.
  Sampler sampler = Sampler::kRandom;   ///< Order of examples.
  int64_t bucket_batches = 50;          ///< length_bucketed: batches' worth of examples that are sorted together.
  Precision precision = Precision::kFp32;  ///< Weights and activations.
  double clip_norm = 1.0;                  ///< Largest global gradient norm; 0: no clipping.
  double label_smoothing = 0.0;            ///< Share of the target's probability that is spread over the vocabulary.
  Recompute recompute = Recompute::kNone;  ///< Trades time for memory.
  bool cache_encoder = false;              ///< A frozen encoder runs once a document, and its outputs are kept on disk.
  bool deterministic = false;              ///< On a GPU: the same bits from run to run; a CPU always gives them.
  int64_t max_graphs = 128;                ///< On a GPU: shapes of batches that are captured as CUDA graphs, at most.
  int64_t log_every_updates = 10;          ///< Period of steps.jsonl and the loggers.

  /// Whether an update waits for the norm of all gradients: to clip them or, in fp16, to see whether one overflowed.
  bool needs_norm() const { return clip_norm > 0 || precision == Precision::kFp16; }
  /// Sets the defaults that depend on which keys are set.
  void complete();
  void describe(FieldVisitor& visitor);
  void check(Complaints& complaints) const;
};

}  // namespace txtsum::config
