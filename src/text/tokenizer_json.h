#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/tokenizer_definition.h"

namespace txtsum::text {

/// Reads the text of a tokenizer.json. Throws DataError with `path`, field, value found and what is supported.
TokenizerDefinition parse_tokenizer_json(std::string_view json, const std::string& path);

/// Reads the text of a vocab.json: one object, token to id. The result is in the order of ids. Throws DataError.
std::vector<std::pair<std::string, int32_t>> parse_vocab_json(std::string_view json, const std::string& path);

/// Reads the text of a merges.txt: `left right` a line, lines that start with `#version` skipped. Throws DataError.
std::vector<std::pair<std::string, std::string>> parse_merges_text(std::string_view text, const std::string& path);

/// Writes the files that Hugging Face loads; each line of the result ends in a newline.
std::string write_tokenizer_json(const TokenizerDefinition& definition);
std::string write_vocab_json(const TokenizerDefinition& definition);
std::string write_merges_text(const TokenizerDefinition& definition);
std::string write_tokenizer_config(const TokenizerDefinition& definition);
std::string write_special_tokens_map(const TokenizerDefinition& definition);

}  // namespace txtsum::text
