#include <fstream>

#include "txtsum/text/tokenizer.h"
#include "untrusted.h"

using namespace txtsum;

namespace {

constexpr const char* kNames[] = {"tokenizer.json",          "vocab.json",       "merges.txt", "tokenizer_config.json",
                                  "special_tokens_map.json", "added_tokens.json"};
constexpr std::string_view kEnd = "\n===\n";

/// The input is the files one after the other, in the order of kNames, with a line === between them. One that is empty
/// is not there.
void write_files(const std::string& folder, std::string_view bytes) {
  for (const char* name : kNames) {
    const size_t end = bytes.find(kEnd);
    const std::string_view content = bytes.substr(0, end);
    const std::string path = folder + "/" + name;
    if (content.empty()) {
      ::unlink(path.c_str());
    } else {
      std::ofstream(path, std::ios::binary) << content;
    }
    bytes.remove_prefix(end == std::string_view::npos ? bytes.size() : end + kEnd.size());
  }
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const tests::InputFile input("input");
  write_files(input.folder(), tests::as_text(data, size));
  tests::accepts(input.folder(), [&] {
    const std::unique_ptr<text::Tokenizer> tokenizer = text::Tokenizer::load(input.folder());
    for (const std::string_view words : {"", "the cat  isn't", "<s>caf\xC3\xA9</s> <mask>", "\xFF\xE2\x96 00 a"}) {
      const std::vector<int32_t> ids = tokenizer->encode(words);
      tokenizer->decode(ids);
      if (tokenizer->encode_truncated(words, tokenizer->added_special_tokens()).full_length != ids.size()) {
        tests::InputFile::die("a length that is another");
      }
    }
  });
  return 0;
}
