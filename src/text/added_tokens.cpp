#include "text/added_tokens.h"

#include <algorithm>

#include "text/unicode_classes.h"

namespace txtsum::text {
namespace {

size_t spaces_start(std::string_view text, size_t end) {
  while (end > 0) {
    const Character character = read_character_before(text, end);
    if (character.char_class != CharClass::kSpace) break;
    end -= character.length;
  }
  return end;
}

size_t spaces_end(std::string_view text, size_t start) {
  while (start < text.size()) {
    const Character character = read_character(text, start);
    if (character.char_class != CharClass::kSpace) break;
    start += character.length;
  }
  return start;
}

bool touches_word(std::string_view text, size_t start, size_t end) {
  return (start > 0 && read_character_before(text, start).is_word) ||
         (end < text.size() && read_character(text, end).is_word);
}

}  // namespace

AddedTokenFinder::Pass AddedTokenFinder::make_pass(const std::vector<AddedToken>& tokens, bool normalized) {
  Pass pass;
  for (const AddedToken& token : tokens) {
    if (token.normalized == normalized && !token.content.empty()) pass.tokens.push_back(token);
  }
  std::stable_sort(pass.tokens.begin(), pass.tokens.end(),
                   [](const AddedToken& a, const AddedToken& b) { return a.content.size() > b.content.size(); });
  for (size_t i = 0; i < pass.tokens.size(); ++i) {
    const auto first = static_cast<unsigned char>(pass.tokens[i].content[0]);
    if (pass.by_first_byte[first].empty()) pass.first_bytes.push_back(first);
    pass.by_first_byte[first].push_back(static_cast<uint32_t>(i));
  }
  return pass;
}

AddedTokenFinder::AddedTokenFinder(const std::vector<AddedToken>& tokens)
    : raw_(make_pass(tokens, false)), normalized_(make_pass(tokens, true)) {}

const AddedToken* AddedTokenFinder::Pass::match(std::string_view text, size_t position) const {
  for (const uint32_t index : by_first_byte[static_cast<unsigned char>(text[position])]) {
    const AddedToken& token = tokens[index];
    if (text.compare(position, token.content.size(), token.content) == 0) return &token;
  }
  return nullptr;
}

size_t AddedTokenFinder::Pass::next_candidate(std::string_view text, size_t position) const {
  if (first_bytes.size() == 1) {
    return std::min(text.find(static_cast<char>(first_bytes[0]), position), text.size());
  }
  while (position < text.size() && by_first_byte[static_cast<unsigned char>(text[position])].empty()) ++position;
  return position;
}

void AddedTokenFinder::Pass::split(std::string_view text, std::vector<Piece>* pieces) const {
  size_t done = 0;
  const auto emit_text = [&](size_t end) {
    if (done < end) pieces->push_back({-1, text.substr(done, end - done)});
  };
  for (size_t position = next_candidate(text, 0); position < text.size();) {
    const AddedToken* token = match(text, position);
    if (token == nullptr) {
      position = next_candidate(text, position + 1);
      continue;
    }
    size_t start = position;
    size_t end = position + token->content.size();
    // The next match starts at or after the token itself, even where it starts with spaces that rstrip took.
    position = next_candidate(text, end);
    if (token->single_word && touches_word(text, start, end)) continue;
    if (token->lstrip) start = std::max(spaces_start(text, start), done);
    if (token->rstrip) end = spaces_end(text, end);
    emit_text(start);
    pieces->push_back({token->id, {}});
    done = end;
  }
  emit_text(text.size());
}

void AddedTokenFinder::split(std::string_view text, std::vector<Piece>* pieces) const {
  if (normalized_.tokens.empty()) {
    raw_.split(text, pieces);
    return;
  }
  std::vector<Piece> first;
  raw_.split(text, &first);
  for (const Piece& piece : first) {
    if (piece.id >= 0) {
      pieces->push_back(piece);
    } else {
      normalized_.split(piece.text, pieces);
    }
  }
}

}  // namespace txtsum::text
