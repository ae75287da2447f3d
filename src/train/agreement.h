#pragma once

#include "txtsum/model/seq2seq_model.h"
#include "txtsum/parallel/communicator.h"
#include "txtsum/train/batch_source.h"
#include "txtsum/train/observer.h"

namespace txtsum::train {

/// What attention's work grows with, over the examples of a batch.
LengthProducts length_products(const GlobalBatch& batch, const model::ModelFacts& facts);

/// Ranks must take the same turns: makes `record` what all say, an update that took as long as rank 0 says, with the
/// examples, tokens and lengths of all. Returns the signal that has asked any of them to stop, or 0.
int agree(parallel::Communicator& ranks, UpdateRecord& record);

}  // namespace txtsum::train
