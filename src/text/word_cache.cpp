#include "text/word_cache.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>

namespace txtsum::text {

WordCache::Key WordCache::make_key(std::string_view word) {
  Key key{};
  std::memcpy(key.words, word.data(), word.size());
  key.length = static_cast<uint8_t>(word.size());
  uint64_t hash = key.words[0] * 0x9E3779B97F4A7C15u;
  hash = (hash ^ hash >> 29 ^ key.words[1]) * 0xBF58476D1CE4E5B9u;
  hash = (hash ^ hash >> 32 ^ key.words[2] ^ word.size()) * 0x94D049BB133111EBu;
  key.slot = static_cast<size_t>(hash >> 40) & (kSlots - 1);
  return key;
}

bool WordCache::find(const Key& key, std::vector<int32_t>* ids) const {
  const Slot& slot = slots_[key.slot];
  if (slot.length != key.length || std::memcmp(slot.words, key.words, sizeof(key.words)) != 0) return false;
  ids->insert(ids->end(), slot.ids, slot.ids + slot.count);
  return true;
}

void WordCache::insert(const Key& key, const std::vector<int32_t>& ids, size_t begin) {
  const size_t count = ids.size() - begin;
  if (count > kMostIds) return;
  Slot& slot = slots_[key.slot];
  std::memcpy(slot.words, key.words, sizeof(key.words));
  slot.length = key.length;
  slot.count = static_cast<uint8_t>(count);
  std::copy(ids.begin() + static_cast<std::ptrdiff_t>(begin), ids.end(), slot.ids);
}

WordCache& WordCache::of_thread(uint64_t tokenizer_number) {
  constexpr size_t kMostCaches = 4;
  using Entry = std::pair<uint64_t, std::unique_ptr<WordCache>>;
  thread_local std::vector<Entry> caches;  // The last used first.
  for (size_t i = 0; i < caches.size(); ++i) {
    if (caches[i].first == tokenizer_number) {
      std::rotate(caches.begin(), caches.begin() + static_cast<std::ptrdiff_t>(i),
                  caches.begin() + static_cast<std::ptrdiff_t>(i) + 1);
      return *caches.front().second;
    }
  }
  if (caches.size() == kMostCaches) caches.pop_back();
  caches.emplace(caches.begin(), tokenizer_number, std::make_unique<WordCache>());
  return *caches.front().second;
}

}  // namespace txtsum::text
