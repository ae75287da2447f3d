#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "txtsum/config/optimizer_config.h"
#include "txtsum/config/parallel_config.h"
#include "txtsum/core/json.h"
#include "txtsum/data/row_cache.h"
#include "txtsum/metrics/run_totals.h"
#include "txtsum/model/arena.h"
#include "txtsum/train/encoder_cache.h"
#include "txtsum/train/state_bytes.h"

namespace txtsum::app {

/// What decides what freezing saves.
struct FreezeFacts {
  const model::ArenaLayout& layout;
  const config::OptimizerConfig& optimizer;
  const config::ParallelConfig& parallel;
  int64_t ranks = 1;
  train::StateTypes types;
};

/// What is frozen and what that saves against training everything; empty where nothing is.
std::string freeze_table(const FreezeFacts& facts);

/// The same for report.json: what is known before the training. Null where nothing is frozen.
core::Json freeze_json(const FreezeFacts& facts);

/// The encoder's cache for report.json, of this attempt: what it holds, and what filling it took.
core::Json encoder_cache_json(const data::RowCache& file, const train::EncoderCacheFill& fill);

/// Adds to freeze_json()'s `freezing` what was not computed in all attempts. Null stays null.
core::Json with_spared_work(core::Json freezing, const metrics::RunTotals& totals);

/// A few words on `freezing` for the end of a run; empty where it is null.
std::string freeze_text(const core::Json& freezing);

/// What the file will hold, for the log.
std::string encoder_cache_text(const data::RowCache& file);
std::string encoder_fill_text(const train::EncoderCacheFill& fill, int64_t examples);

}  // namespace txtsum::app
