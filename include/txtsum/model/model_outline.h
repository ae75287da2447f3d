#pragma once

#include <cstdint>

#include "txtsum/model/arena.h"
#include "txtsum/model/model_folder.h"
#include "txtsum/model/seq2seq_model.h"

// A model without its weights, and what a pass over it keeps: for plans that are made before anything runs.

namespace txtsum::model {

/// What ModelFacts does not say of how a model computes.
struct OutlineTraits {
  bool pre_norm = false;        ///< Norms stand before attention and feed-forward, on a residual stream in fp32.
  bool embedding_norm = false;  ///< Embeddings are normed.
  bool final_norm = false;      ///< Each stack ends in a norm, a block of its own.
  int64_t encoder_heads = 1, decoder_heads = 1;
};

/// A model as config.json and the header of its weights describe it.
struct ModelOutline {
  ModelFacts facts;
  OutlineTraits traits;
  ArenaLayout layout;

  /// Numbers of the layers' blocks in the layout.
  int64_t encoder_block(int64_t layer) const { return 2 + layer; }
  int64_t decoder_block(int64_t layer) const { return 3 + facts.encoder_layers + (traits.final_norm ? 1 : 0) + layer; }
  /// Rows of the output table, those that only fill up included.
  int64_t vocabulary_rows() const;
};

/// What load_model would load, by its layout alone: no memory for weights is made and none of them are read, but where
/// two tables have to be compared to tell whether they are one. Throws what load_model throws for config.json, names
/// and shapes.
ModelOutline outline_model(const LoadRequest& request);

/// The tokens of one forward and backward pass.
struct PassTokens {
  int64_t source = 0, target = 0;
  int64_t sequences = 0;
};

struct PassOptions {
  at::ScalarType dtype = at::kFloat;      ///< Of the weights.
  at::ScalarType gradients = at::kFloat;  ///< Of their gradients.
  bool on_gpu = false;                    ///< With fused kernels, which keep less.
  bool recompute = false;                 ///< Blocks keep their inputs alone.
};

/// Bytes of a pass beside weights, gradients and the optimizer's state.
struct PassBytes {
  int64_t kept = 0;    ///< What the backward pass finds when the forward pass ends.
  int64_t logits = 0;  ///< Of one chunk of the loss, with what it is computed through.
  int64_t peak = 0;    ///< Most that is there at a time.
};

/// Adds up what the operations of the forward pass keep (docs/planning.md has the formulas).
PassBytes pass_bytes(const ModelOutline& outline, const PassTokens& tokens, const PassOptions& options);

}  // namespace txtsum::model
