#pragma once

#include <zlib.h>

#include <string>

#include "support/temporary_folder.h"
#include "txtsum/core/file.h"

namespace txtsum::tests {

inline const std::string kUnigramFixtures = TXTSUM_SOURCE_DIR "/tests/fixtures/text/unigram";

inline std::string read_compressed(const std::string& path) {
  const std::string packed = core::read_file(path);
  std::string bytes(4 << 20, '\0');
  uLongf size = bytes.size();
  const int status = uncompress(reinterpret_cast<Bytef*>(bytes.data()), &size,
                                reinterpret_cast<const Bytef*>(packed.data()), packed.size());
  bytes.resize(status == Z_OK ? size : 0);
  return bytes;
}

/// The spiece.model of a family of fixtures. They share one normalization, which is two thirds of a model: it is kept
/// apart, as a field that follows the others.
inline std::string unigram_model(const std::string& family) {
  return core::read_file(kUnigramFixtures + "/" + family + "/pieces.model") +
         read_compressed(kUnigramFixtures + "/charsmap.z");
}

/// Writes a model folder's tokenizer; the config is the fixture's unless one is given.
inline void write_unigram_folder(const TemporaryFolder& folder, const std::string& family, std::string config = "") {
  if (config.empty()) config = core::read_file(kUnigramFixtures + "/" + family + "/tokenizer_config.json");
  core::write_file(folder.path(family == "mbart50" ? "sentencepiece.bpe.model" : "spiece.model"),
                   unigram_model(family));
  core::write_file(folder.path("tokenizer_config.json"), config);
}

}  // namespace txtsum::tests
