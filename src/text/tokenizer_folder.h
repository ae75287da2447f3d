#pragma once

#include <map>
#include <string>

#include "text/tokenizer_definition.h"

namespace txtsum::text {

/// A tokenizer as a folder holds it.
struct TokenizerFolder {
  TokenizerDefinition definition;
  /// File that holds the model, for error messages.
  std::string model_path;
  /// Name and bytes of the tokenizer files that the folder has.
  std::map<std::string, std::string> files;
};

/// Reads tokenizer.json, or spiece.model, or vocab.json and merges.txt, and the small files beside them. Throws
/// DataError.
TokenizerFolder read_tokenizer_folder(const std::string& folder);

/// Applies tokenizer_config.json (special_tokens_map.json is the same with roles only). As in transformers, it
/// overrides tokenizer.json's `add_prefix_space`, and tokens that it names and the tokenizer lacks are added. Throws
/// DataError.
void apply_tokenizer_config(const std::string& json, const std::string& path, TokenizerDefinition* definition);
void apply_special_tokens_map(const std::string& json, const std::string& path, TokenizerDefinition* definition);

/// Gives roles that no file names BART's token (`<s>`, `</s>`, `<pad>`, `<unk>`, `<mask>`) where the tokenizer has it,
/// and adds the tokens of all roles that are not added tokens yet.
void complete_special_tokens(TokenizerDefinition* definition);

}  // namespace txtsum::text
