#include "text/unigram_model.h"

#include <algorithm>
#include <cmath>

#include "text/sentencepiece_file.h"
#include "text/unicode_classes.h"

namespace txtsum::text {
namespace {

// What an unknown character costs more than the worst piece.
constexpr double kUnknownPenalty = 10;

// Sums of rounded scores are exact in single precision (24 bits) up to 2^24 / kGrid = 16384, and a rounded score is off
// by at most 0.0005. Of 21,000 random words of up to 1,000 letters (A C G T, 0 1, base 64 and the like, which are full
// of equal segmentations), 1 differs from `tokenizers` with 1024, and 1,091 with 8192, whose sums are exact up to 2048.
constexpr double kGrid = 1024;

// The model as `tokenizers` has it: every piece may be found in a text, also control pieces and the unknown one.
std::string model_of(const TokenizerDefinition& definition, bool rounded) {
  std::vector<SentencePiece> pieces;
  for (size_t i = 0; i < definition.model.vocabulary.size(); ++i) {
    const double score = definition.unigram->scores[i];
    pieces.push_back({definition.model.vocabulary[i].first,
                      static_cast<float>(rounded ? std::round(score * kGrid) / kGrid : score), PieceType::kNormal});
  }
  pieces.push_back({"<unk>", 0, PieceType::kUnknown});
  return write_sentencepiece_file(pieces);
}

size_t count_characters(std::string_view text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<uint8_t>(c) & 0xC0) != 0x80; }));
}

}  // namespace

UnigramModel::UnigramModel(const TokenizerDefinition& definition, const std::string& path)
    : known_(0x110000),
      unk_id_(definition.unigram->unk_id),
      as_it_is_(model_of(definition, false), path),
      on_grid_(model_of(definition, true), path) {
  const std::vector<double>& scores = definition.unigram->scores;
  unk_score_ = *std::min_element(scores.begin(), scores.end()) - kUnknownPenalty;
  for (size_t i = 0; i < scores.size(); ++i) {
    const auto& [piece, id] = definition.model.vocabulary[i];
    entries_[piece] = {id, scores[i]};
    uint32_t code_point = 0;
    for (size_t position = 0; position < piece.size();) {
      position += decode_utf8(piece, position, &code_point);
      known_[code_point] = true;
    }
  }
}

double UnigramModel::sum_of_scores(std::span<const std::string> pieces) const {
  double sum = 0;
  for (const std::string& piece : pieces) {
    const auto found = entries_.find(piece);
    sum += found != entries_.end() ? found->second.score : unk_score_ * static_cast<double>(count_characters(piece));
  }
  return sum;
}

// Of equal segmentations, the one with the longer last piece where they differ is better.
bool UnigramModel::is_better(std::span<const std::string> pieces, std::span<const std::string> than) const {
  const double difference = sum_of_scores(pieces) - sum_of_scores(than);
  if (difference != 0) return difference > 0;
  const auto [mine, other] = std::mismatch(pieces.rbegin(), pieces.rend(), than.rbegin(), than.rend());
  return mine != pieces.rend() && other != than.rend() && mine->size() > other->size();
}

void UnigramModel::append(int32_t id, size_t begin, std::vector<int32_t>* ids) const {
  if (id != unk_id_ || ids->size() == begin || ids->back() != unk_id_) ids->push_back(id);
}

void UnigramModel::encode_known(std::string_view text, size_t begin, std::vector<int32_t>* ids) const {
  const std::vector<std::string> first = as_it_is_.encode(text);
  const std::vector<std::string> second = on_grid_.encode(text);
  // The next stretch of each between two places where both cut, and the bytes before their ends.
  size_t first_begin = 0, second_begin = 0, first_end = 0, second_end = 0, first_bytes = 0, second_bytes = 0;
  while (first_end < first.size()) {
    do {
      if (first_bytes <= second_bytes) {
        first_bytes += first[first_end++].size();
      } else {
        second_bytes += second[second_end++].size();
      }
    } while (first_bytes != second_bytes);
    const auto pieces = std::span(first).subspan(first_begin, first_end - first_begin);
    const auto other = std::span(second).subspan(second_begin, second_end - second_begin);
    for (const std::string& piece : is_better(other, pieces) ? other : pieces) {
      const auto found = entries_.find(piece);
      append(found != entries_.end() ? found->second.id : unk_id_, begin, ids);
    }
    first_begin = first_end;
    second_begin = second_end;
  }
}

void UnigramModel::encode_word(std::string_view word, std::vector<int32_t>* ids) const {
  // A character that no piece has is unknown whatever surrounds it. The parts between such characters do not depend on
  // each other; apart, their sums stay small enough for the grid.
  const size_t begin = ids->size();
  for (size_t position = 0, start = 0; start < word.size(); start = position) {
    uint32_t code_point = 0;
    size_t length = 0;
    while (position < word.size()) {
      length = decode_utf8(word, position, &code_point);
      if (!known_[code_point]) break;
      position += length;
    }
    if (position > start) {
      encode_known(word.substr(start, position - start), begin, ids);
    } else {
      append(unk_id_, begin, ids);
      position += length;
    }
  }
}

}  // namespace txtsum::text
