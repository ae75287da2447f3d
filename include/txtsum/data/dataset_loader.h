#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "txtsum/data/dataset.h"
#include "txtsum/data/encode.h"
#include "txtsum/data/record_reader.h"

namespace txtsum::data {

/// What a split is made of. Everything but `keep_texts`, `cache_folder` and `threads` decides the ids and is in the
/// cache's key, files by their content.
struct DatasetOptions {
  std::vector<std::string> files;  ///< Read one after the other.
  ColumnRequest columns;
  std::string tokenizer_fingerprint;  ///< text::Tokenizer::fingerprint().
  std::string source_prefix;          ///< Put before every source text.
  int64_t max_source_tokens = 0;      ///< Limits, special tokens included.
  int64_t max_target_tokens = 0;
  std::optional<int64_t> max_examples;  ///< First N rows, counted before empty ones are dropped; unset: all.
  bool fail_on_empty = false;           ///< A pair with an empty side is an error; else it is dropped and counted.
  bool keep_texts = false;   ///< Whether the dataset holds ids and texts (for references) beside the token ids.
  std::string cache_folder;  ///< Empty: no cache.
  int threads = 0;           ///< Tokenizing threads; 0: as many as the machine has cores.
};

/// A split and how it came about.
struct LoadedDataset {
  Dataset dataset;
  std::vector<ColumnChoice> columns;  ///< For each file.
  bool was_cached = false;
};

/// Loads a split: from the cache where it is there, else the files are read and tokenized on several threads, and
/// cached. A text is empty when it has nothing but white space. Throws DataError: whatever RecordReader throws, no
/// example left, an empty side where that is an error; StoppedBySignal when a stop signal comes while it tokenizes.
LoadedDataset load_dataset(const DatasetOptions& options, const Encode& encode);

}  // namespace txtsum::data
