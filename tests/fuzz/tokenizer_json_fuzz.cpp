#include "text/byte_level_tokenizer.h"
#include "text/tokenizer_folder.h"
#include "text/tokenizer_json.h"
#include "untrusted.h"

using namespace txtsum;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::string path = "model/tokenizer.json";
  tests::accepts(path, [&] {
    text::TokenizerDefinition definition = text::parse_tokenizer_json(tests::as_text(data, size), path);
    text::complete_special_tokens(&definition);
    const text::ByteLevelTokenizer tokenizer(definition, path, {});
    for (const std::string_view words : {"", "the cat  isn't", "<s>caf\xC3\xA9</s> <mask>", "\xFF\xE2\x96 00 a"}) {
      std::vector<int32_t> ids = tokenizer.encode(words, true);
      for (const int32_t id : ids) {
        if (!tokenizer.id_to_token(id)) tests::InputFile::die("an id without a token");
      }
      ids.insert(ids.end(), {-1, INT32_MAX});
      tokenizer.decode(ids, /*skip_special_tokens=*/false);
    }
    // What is written defines the same tokenizer.
    const std::string written = text::write_tokenizer_json(definition);
    if (text::write_tokenizer_json(text::parse_tokenizer_json(written, path)) != written) {
      tests::InputFile::die("the tokenizer that was written is another:\n" + written);
    }
  });
  return 0;
}
