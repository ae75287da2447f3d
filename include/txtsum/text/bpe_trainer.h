#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "txtsum/text/tokenizer.h"

namespace txtsum::text {

/// What to train.
struct BpeTrainerOptions {
  /// Tokens in all: special tokens, 256 bytes, merges. Fewer when the texts have no more pairs to merge.
  size_t vocab_size = 8192;
  /// A pair is merged only when it is seen at least this often.
  uint64_t min_frequency = 2;
  /// Ids 0, 1, ... in this order. BART's must be among them; `<mask>` takes the space before it.
  std::vector<std::string> special_tokens = {"<s>", "<pad>", "</s>", "<unk>", "<mask>"};
  bool add_prefix_space = false;
  /// Written to tokenizer_config.json.
  int64_t model_max_length = 1024;
};

/// Source of texts: puts the next one into its argument, or returns false at the end.
using NextText = std::function<bool(std::string*)>;

/// Trains a byte-level BPE tokenizer with BART's conventions. The most frequent pair is merged first; of equals, the
/// one with the lower first id, then the lower second: the same texts give the same files, and the same vocabulary as
/// Hugging Face's BpeTrainer with its byte alphabet. Special tokens are not looked for in the texts. Keep the result
/// with Tokenizer::save. Throws UserError when the options do not fit together.
std::unique_ptr<Tokenizer> train_bpe(const NextText& next_text, const BpeTrainerOptions& options);

}  // namespace txtsum::text
