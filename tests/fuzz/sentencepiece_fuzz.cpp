#include "text/byte_alphabet.h"
#include "text/charsmap.h"
#include "text/sentencepiece_file.h"
#include "text/unigram_folder.h"
#include "text/unigram_tokenizer.h"
#include "untrusted.h"

using namespace txtsum;

namespace {

constexpr const char* kModel = "spiece.model";
constexpr const char* kConfig = R"({"tokenizer_class": "T5Tokenizer", "extra_ids": 2})";
constexpr std::string_view kTexts[] = {"", "the cat  isn't", "</s>\xEF\xAC\x81 e\xCC\x81 <extra_id_0>",
                                       "\xFF\xE2\x96 0"};

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::string folder = "model", path = folder + "/" + kModel;
  const std::string_view bytes = tests::as_text(data, size);
  const bool parsed = tests::accepts(path, [&] {
    const text::Charsmap charsmap(text::parse_sentencepiece_file(bytes, path).charsmap, path);
    for (const std::string_view words : kTexts) charsmap.normalize(text::to_valid_utf8(words));
  });
  if (!parsed) return 0;
  tests::accepts(folder, [&] {
    std::map<std::string, std::string> files{{kModel, std::string(bytes)}, {"tokenizer_config.json", kConfig}};
    text::TokenizerDefinition definition = text::read_unigram_definition(folder, &files);
    const text::UnigramTokenizer tokenizer(std::move(definition), path, files);
    for (const std::string_view words : kTexts) tokenizer.decode(tokenizer.encode(words, true), false);
  });
  return 0;
}
