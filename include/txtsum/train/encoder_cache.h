#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/TensorOptions.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "txtsum/core/json.h"
#include "txtsum/data/dataset.h"
#include "txtsum/data/row_cache.h"
#include "txtsum/model/seq2seq_model.h"
#include "txtsum/ops/ragged.h"
#include "txtsum/parallel/communicator.h"

namespace txtsum::train {

/// Refuses train.cache_encoder where the encoder's outputs are not the same at every pass: something that it reads
/// learns, or it drops. Throws UserError, which names the key to set.
void check_encoder_is_fixed(const model::Seq2SeqModel& model);

/// What decides the encoder's outputs for a split, as 32 hexadecimal digits: its weights in their type, the model's
/// config.json, the source ids of every example, and the kind of device.
std::string encoder_key(const model::Seq2SeqModel& model, const core::Json& model_config, const data::Dataset& dataset);

/// What filling the cache took; sums over the ranks but for the seconds.
struct EncoderCacheFill {
  int64_t examples = 0;  ///< That the encoder ran over; the others of the split were there.
  int64_t source_tokens = 0;
  double source_pairs = 0;  ///< Sum of model::source_pairs over these examples.
  double seconds = 0;       ///< Until all was there.
};

/// The outputs of a frozen encoder for all examples of the training split, kept in a file, so that training reads them
/// and never runs the encoder. They are made in batches of their own, so they are the same bits whatever the training's
/// batches, its number of ranks and whether a former run made them; as rows of other batches they differ from outputs
/// made during training by rounding.
class EncoderCache {
 public:
  /// Opens or makes the file (data::RowCache) in `folder`. The dataset must outlive it, the model fill(). Throws as
  /// check_encoder_is_fixed and data::RowCache do.
  EncoderCache(const model::Seq2SeqModel& model, const core::Json& model_config, const data::Dataset& dataset,
               const std::string& folder);

  /// Runs the encoder over what is missing. All ranks call it and leave it together; the weights must be whole.
  /// `progress` hears of the source tokens that this rank has encoded. Throws StoppedBySignal; what was made stays.
  EncoderCacheFill fill(parallel::Communicator& ranks, const std::function<void(int64_t)>& progress = {});

  /// The encoder's outputs of `examples`, one after the other: [N, D] on the CPU, in the model's type. For any thread.
  /// Throws DataError where the file is damaged.
  at::Tensor rows(std::span<const int64_t> examples) const;
  /// Zeros, [tokens, D]: for tokens that count nothing.
  at::Tensor empty_rows(int64_t tokens) const;

  const data::RowCache& file() const { return file_; }

 private:
  at::Tensor encode(const ops::RaggedTokens& source) const;
  /// The bytes of a group's rows.
  std::string encode_group(const data::RowCache::Group& group) const;

  const model::Seq2SeqModel& model_;
  const data::Dataset& dataset_;
  int64_t width_;
  at::TensorOptions options_;  // of rows
  data::RowCache file_;
};

}  // namespace txtsum::train
