#include "text/bpe_model.h"

#include <bit>
#include <queue>

#include "text/byte_alphabet.h"
#include "txtsum/core/error.h"

namespace txtsum::text {
namespace {

constexpr uint32_t kNoRank = UINT32_MAX;
constexpr uint64_t kEmptyKey = UINT64_MAX;
// Up to this many bytes a scan over all pairs is faster than a heap.
constexpr size_t kLongestScannedWord = 96;

uint64_t pair_key(int32_t left, int32_t right) {
  return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
}

size_t pair_hash(uint64_t key) {
  key *= 0x9E3779B97F4A7C15u;
  return static_cast<size_t>(key ^ key >> 32);
}

}  // namespace

BpeModel::BpeModel(const BpeDefinition& definition, const std::string& source)
    : fuse_unk_(definition.fuse_unk), ignore_merges_(definition.ignore_merges) {
  std::unordered_map<std::string, int32_t> ids(definition.vocabulary.begin(), definition.vocabulary.end());
  if (definition.unk_token) {
    const auto unk = ids.find(*definition.unk_token);
    if (unk == ids.end()) {
      throw core::DataError(source + ": the unknown token '" + *definition.unk_token + "' is not in the vocabulary");
    }
    unk_id_ = unk->second;
  }
  for (int byte = 0; byte < 256; ++byte) {
    const auto found = ids.find(byte_symbol(static_cast<unsigned char>(byte)));
    byte_ids_[byte] = found == ids.end() ? -1 : found->second;
  }
  index_merges(definition, ids, source);
  if (ignore_merges_) {
    for (const auto& [token, id] : definition.vocabulary) whole_words_.emplace(from_byte_symbols(token), id);
  }
}

void BpeModel::index_merges(const BpeDefinition& definition, const std::unordered_map<std::string, int32_t>& ids,
                            const std::string& source) {
  pairs_.assign(std::bit_ceil(definition.merges.size() * 2 + 2), {kEmptyKey, {kNoRank, -1}});
  const auto id_of = [&](size_t rank, const std::string& token) {
    const auto found = ids.find(token);
    if (found == ids.end()) {
      throw core::DataError(source + ": merge " + std::to_string(rank + 1) + " ('" + definition.merges[rank].first +
                            "' '" + definition.merges[rank].second + "') needs the token '" + token +
                            "', which is not in the vocabulary");
    }
    return found->second;
  };
  for (size_t rank = 0; rank < definition.merges.size(); ++rank) {
    const auto& [left, right] = definition.merges[rank];
    // Where a pair is listed twice the later rank counts, as in Hugging Face.
    insert_merge(pair_key(id_of(rank, left), id_of(rank, right)),
                 {static_cast<uint32_t>(rank), id_of(rank, left + right)});
  }
}

void BpeModel::insert_merge(uint64_t key, Merge merge) {
  size_t slot = pair_hash(key) & (pairs_.size() - 1);
  while (pairs_[slot].key != kEmptyKey && pairs_[slot].key != key) slot = (slot + 1) & (pairs_.size() - 1);
  pairs_[slot] = {key, merge};
}

BpeModel::Merge BpeModel::find_merge(int32_t left, int32_t right) const {
  const uint64_t key = pair_key(left, right);
  for (size_t slot = pair_hash(key) & (pairs_.size() - 1);; slot = (slot + 1) & (pairs_.size() - 1)) {
    if (pairs_[slot].key == key) return pairs_[slot].merge;
    if (pairs_[slot].key == kEmptyKey) return {kNoRank, -1};
  }
}

void BpeModel::append_symbols(std::string_view word, std::vector<int32_t>* symbols) const {
  bool after_unknown = false;
  for (const char byte : word) {
    const int32_t id = byte_ids_[static_cast<unsigned char>(byte)];
    const bool unknown = id < 0;
    if (!unknown) {
      symbols->push_back(id);
    } else if (unk_id_ >= 0 && !(fuse_unk_ && after_unknown)) {
      symbols->push_back(unk_id_);
    }
    after_unknown = unknown;
  }
}

void BpeModel::encode_word(std::string_view word, std::vector<int32_t>* ids) const {
  if (ignore_merges_) {
    const auto whole = whole_words_.find(std::string(word));
    if (whole != whole_words_.end()) {
      ids->push_back(whole->second);
      return;
    }
  }
  const size_t begin = ids->size();
  append_symbols(word, ids);
  const size_t count = ids->size() - begin;
  if (count < 2) return;
  if (count <= kLongestScannedWord) {
    merge_short(*this, ids, begin);
  } else {
    merge_long(*this, ids, begin);
  }
}

void BpeModel::merge_short(const BpeModel& model, std::vector<int32_t>* symbols, size_t begin) {
  int32_t* ids = symbols->data() + begin;
  size_t count = symbols->size() - begin;
  Merge merges[kLongestScannedWord];  // merges[i] joins ids[i] and ids[i + 1].
  for (size_t i = 0; i + 1 < count; ++i) merges[i] = model.find_merge(ids[i], ids[i + 1]);
  while (count > 1) {
    size_t best = 0;
    for (size_t i = 1; i + 1 < count; ++i) {
      if (merges[i].rank < merges[best].rank) best = i;
    }
    if (merges[best].rank == kNoRank) break;
    ids[best] = merges[best].id;
    --count;
    for (size_t i = best + 1; i < count; ++i) {
      ids[i] = ids[i + 1];
      merges[i - 1] = merges[i];
    }
    if (best > 0) merges[best - 1] = model.find_merge(ids[best - 1], ids[best]);
    if (best + 1 < count) merges[best] = model.find_merge(ids[best], ids[best + 1]);
  }
  symbols->resize(begin + count);
}

void BpeModel::merge_long(const BpeModel& model, std::vector<int32_t>* symbols, size_t begin) {
  const auto count = static_cast<int32_t>(symbols->size() - begin);
  std::vector<Symbol> parts(count);
  for (int32_t i = 0; i < count; ++i) parts[i] = {(*symbols)[begin + i], i - 1, i + 1 < count ? i + 1 : -1};
  // (rank, position): the lowest rank first, then the leftmost.
  using Candidate = std::pair<uint32_t, int32_t>;
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue;
  const auto merge_at = [&](int32_t i) {
    if (i < 0 || parts[i].id < 0 || parts[i].next < 0) return Merge{kNoRank, -1};
    return model.find_merge(parts[i].id, parts[parts[i].next].id);
  };
  const auto push = [&](int32_t i) {
    const Merge merge = merge_at(i);
    if (merge.rank != kNoRank) queue.emplace(merge.rank, i);
  };
  for (int32_t i = 0; i < count; ++i) push(i);
  while (!queue.empty()) {
    const auto [rank, i] = queue.top();
    queue.pop();
    const Merge merge = merge_at(i);
    if (merge.rank != rank) continue;  // One of the two was joined with another since.
    const int32_t gone = parts[i].next;
    parts[i] = {merge.id, parts[i].previous, parts[gone].next};
    if (parts[i].next >= 0) parts[parts[i].next].previous = i;
    parts[gone].id = -1;
    push(parts[i].previous);
    push(i);
  }
  symbols->resize(begin);
  for (int32_t i = 0; i >= 0; i = parts[i].next) symbols->push_back(parts[i].id);
}

}  // namespace txtsum::text
