#pragma once

#include "text/tokenizer_folder.h"

namespace txtsum::text {

/// Name of the SentencePiece model among the files: spiece.model, or mBART's sentencepiece.bpe.model; empty: none.
std::string unigram_model_name(const std::map<std::string, std::string>& files);

/// Whether the tokenizer of these files is a SentencePiece model: it is there, and a tokenizer.json beside it says the
/// same in other words (a model of type Unigram).
bool has_unigram_model(const std::map<std::string, std::string>& files);

/// Makes the definition of a T5, Pegasus or mBART-50 tokenizer from `files` of `folder`: the model,
/// tokenizer_config.json, special_tokens_map.json and added_tokens.json; a tokenizer.json must give every token the
/// same id. The family is tokenizer_config.json's `tokenizer_class`, else config.json's `tokenizer_class` or
/// `model_type`. Adds to `files` what transformers needs and is not there. Throws DataError.
TokenizerDefinition read_unigram_definition(const std::string& folder, std::map<std::string, std::string>* files);

}  // namespace txtsum::text
