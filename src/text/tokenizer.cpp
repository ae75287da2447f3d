#include "txtsum/text/tokenizer.h"

#include "text/byte_level_tokenizer.h"
#include "text/tokenizer_folder.h"
#include "text/unigram_tokenizer.h"

namespace txtsum::text {

std::unique_ptr<Tokenizer> Tokenizer::load(const std::string& folder) {
  TokenizerFolder loaded = read_tokenizer_folder(folder);
  if (loaded.definition.unigram) {
    return std::make_unique<UnigramTokenizer>(std::move(loaded.definition), loaded.model_path, std::move(loaded.files));
  }
  return std::make_unique<ByteLevelTokenizer>(std::move(loaded.definition), loaded.model_path, std::move(loaded.files));
}

}  // namespace txtsum::text
