#include "text/sentencepiece_file.h"

#include <bit>

#include "text/byte_alphabet.h"
#include "txtsum/core/error.h"

namespace txtsum::text {
namespace {

// How a field of a protocol buffer is written.
constexpr uint32_t kVarint = 0, kEightBytes = 1, kBytes = 2, kFourBytes = 5;

// Field numbers of sentencepiece_model.proto.
constexpr uint32_t kPieces = 1, kTrainerSpec = 2, kNormalizerSpec = 3;
constexpr uint32_t kPieceText = 1, kPieceScore = 2, kPieceType = 3;
constexpr uint32_t kModelType = 3;
constexpr uint32_t kCharsmap = 2, kAddDummyPrefix = 3, kRemoveExtraSpaces = 4, kEscapeSpaces = 5;

// Reads the fields of one message, one after the other.
class MessageReader {
 public:
  // `start` is the place of `bytes` in the file.
  MessageReader(std::string_view bytes, size_t start, const std::string& path)
      : bytes_(bytes), start_(start), path_(path) {}

  [[noreturn]] void refuse(const std::string& what) const {
    throw core::DataError(path_ + ": no SentencePiece model: " + what + " at byte " +
                          std::to_string(start_ + position_) +
                          "; the file is damaged or is another kind of file: copy it again from where the model came " +
                          "from (a Git LFS pointer in its place is a few lines of text: run git lfs pull)");
  }

  bool next() {
    if (position_ == bytes_.size()) return false;
    const uint64_t tag = varint();
    field_ = static_cast<uint32_t>(tag >> 3);
    wire_ = static_cast<uint32_t>(tag & 7);
    if (tag > UINT32_MAX || field_ == 0) refuse("an impossible field number");
    if (wire_ == kVarint) {
      number_ = varint();
    } else if (wire_ == kBytes) {
      const uint64_t size = varint();
      content_start_ = start_ + position_;
      content_ = take(size);
    } else if (wire_ == kEightBytes || wire_ == kFourBytes) {
      content_ = take(wire_ == kFourBytes ? 4 : 8);
    } else {
      refuse("an unknown kind of field");
    }
    return true;
  }

  uint32_t field() const { return field_; }
  std::string_view content() const {
    if (wire_ != kBytes) refuse("a field of the wrong kind");
    return content_;
  }
  uint64_t number() const {
    if (wire_ != kVarint) refuse("a field of the wrong kind");
    return number_;
  }
  float real() const {
    if (wire_ != kFourBytes) refuse("a field of the wrong kind");
    uint32_t bits = 0;
    for (size_t i = 0; i < 4; ++i) bits |= static_cast<uint32_t>(static_cast<uint8_t>(content_[i])) << 8 * i;
    return std::bit_cast<float>(bits);
  }
  MessageReader message() const { return {content(), content_start_, path_}; }

 private:
  std::string_view take(uint64_t size) {
    if (size > bytes_.size() - position_) refuse("a field of " + std::to_string(size) + " bytes that ends too early");
    const std::string_view taken = bytes_.substr(position_, size);
    position_ += size;
    return taken;
  }

  uint64_t varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const auto byte = static_cast<uint8_t>(take(1)[0]);
      value |= static_cast<uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) return value;
    }
    refuse("a number that does not end");
  }

  std::string_view bytes_, content_;
  size_t start_, position_ = 0, content_start_ = 0;
  const std::string& path_;
  uint32_t field_ = 0, wire_ = 0;
  uint64_t number_ = 0;
};

SentencePiece read_piece(MessageReader message) {
  SentencePiece piece;
  while (message.next()) {
    if (message.field() == kPieceText) piece.text = message.content();
    if (message.field() == kPieceScore) piece.score = message.real();
    if (message.field() == kPieceType) piece.type = static_cast<PieceType>(message.number());
  }
  if (piece.text.empty() || piece.text.find('\0') != std::string::npos || to_valid_utf8(piece.text) != piece.text) {
    message.refuse("a piece that is no text");
  }
  return piece;
}

void append_varint(uint64_t value, std::string* out) {
  for (; value >= 0x80; value >>= 7) out->push_back(static_cast<char>(value | 0x80));
  out->push_back(static_cast<char>(value));
}

void append_number(uint32_t field, uint64_t value, std::string* out) {
  append_varint(field << 3 | kVarint, out);
  append_varint(value, out);
}

void append_bytes(uint32_t field, std::string_view bytes, std::string* out) {
  append_varint(field << 3 | kBytes, out);
  append_varint(bytes.size(), out);
  out->append(bytes);
}

void append_real(uint32_t field, float value, std::string* out) {
  append_varint(field << 3 | kFourBytes, out);
  const auto bits = std::bit_cast<uint32_t>(value);
  for (int i = 0; i < 4; ++i) out->push_back(static_cast<char>(bits >> 8 * i));
}

}  // namespace

SentencePieceFile parse_sentencepiece_file(std::string_view bytes, const std::string& path) {
  constexpr uint64_t kUnigram = 1;
  const char* const kinds[] = {"", "unigram", "BPE", "word", "character"};
  SentencePieceFile file;
  MessageReader reader(bytes, 0, path);
  while (reader.next()) {
    if (reader.field() == kPieces) file.pieces.push_back(read_piece(reader.message()));
    if (reader.field() == kTrainerSpec) {
      for (MessageReader spec = reader.message(); spec.next();) {
        if (spec.field() != kModelType || spec.number() == kUnigram) continue;
        const uint64_t kind = spec.number();
        throw core::DataError(path + ": the model is a SentencePiece " +
                              (kind < 5 ? kinds[kind] : std::to_string(kind)) + " model; supported: unigram");
      }
    }
    if (reader.field() == kNormalizerSpec) {
      for (MessageReader spec = reader.message(); spec.next();) {
        if (spec.field() == kCharsmap) file.charsmap = spec.content();
      }
    }
  }
  if (file.pieces.empty()) reader.refuse("no pieces up to the end");
  return file;
}

std::string write_sentencepiece_file(const std::vector<SentencePiece>& pieces) {
  std::string bytes;
  for (const SentencePiece& piece : pieces) {
    std::string message;
    append_bytes(kPieceText, piece.text, &message);
    append_real(kPieceScore, piece.score, &message);
    append_number(kPieceType, static_cast<uint64_t>(piece.type), &message);
    append_bytes(kPieces, message, &bytes);
  }
  std::string normalizer;
  for (const uint32_t setting : {kAddDummyPrefix, kRemoveExtraSpaces, kEscapeSpaces}) {
    append_number(setting, 0, &normalizer);
  }
  append_bytes(kNormalizerSpec, normalizer, &bytes);
  return bytes;
}

}  // namespace txtsum::text
