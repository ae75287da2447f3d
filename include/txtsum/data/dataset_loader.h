#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "txtsum/data/dataset.h"
#include "txtsum/data/encode.h"
#include "txtsum/data/record_reader.h"

namespace txtsum::data {

/// The part of the rows that a split takes: those whose document's place is in [begin, end). The place is a number in
/// [0, 1) made of the document's text alone (XXH3), so it is the same on every machine, for every seed and in whatever
/// order the rows come, and a document that is there twice falls to one side. Of n rows the share is met up to chance:
/// the standard deviation is sqrt(share (1 - share) / n).
struct SourceShare {
  double begin = 0.0;
  double end = 1.0;

  bool is_all() const { return begin <= 0.0 && end >= 1.0; }
  bool holds(const std::string& source) const;
};

/// What a split is made of. Everything but `keep_texts`, `cache_folder` and `threads` decides the ids and is in the
/// cache's key, files by their content.
struct DatasetOptions {
  std::vector<std::string> files;  ///< Files and folders, read one after the other.
  std::string folder_split;        ///< The split to read in a folder that holds several.
  SourceShare share;
  ColumnRequest columns;
  std::string tokenizer_fingerprint;  ///< text::Tokenizer::fingerprint().
  std::string source_prefix;          ///< Put before every source text.
  int64_t max_source_tokens = 0;      ///< Limits, special tokens included.
  int64_t max_target_tokens = 0;
  std::optional<int64_t>
      max_examples;            ///< First N rows of the share, counted before empty ones are dropped; unset: all.
  bool fail_on_empty = false;  ///< A pair with an empty side is an error; else it is dropped and counted.
  bool keep_texts = false;     ///< Whether the dataset holds ids and texts (for references) beside the token ids.
  std::string cache_folder;    ///< Empty: no cache.
  int threads = 0;             ///< Tokenizing threads; 0: as many as the machine has cores.
};

/// A split and how it came about.
struct LoadedDataset {
  Dataset dataset;
  std::vector<ColumnChoice> columns;  ///< For each file or folder.
  bool was_cached = false;
};

/// Loads a split: from the cache where it is there, else the files are read and tokenized on several threads, and
/// cached. A text is empty when it has nothing but white space. Throws DataError: whatever RecordReader throws, no
/// example left, an empty side where that is an error; StoppedBySignal when a stop signal comes while it tokenizes.
LoadedDataset load_dataset(const DatasetOptions& options, const Encode& encode);

}  // namespace txtsum::data
