#include "txtsum/model/arena.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <map>
#include <numeric>

#include "txtsum/core/check.h"

namespace txtsum::model {
namespace {

/// Elements that every tensor or group starts at a multiple of: 256 bytes in bf16.
constexpr int64_t kAlignment = 128;
constexpr int64_t kVocabularyRows = 64;

int64_t round_up(int64_t value, int64_t unit) { return (value + unit - 1) / unit * unit; }

int64_t product(const std::vector<int64_t>& shape) {
  return std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
}

/// Parameters that are laid out as one: a group, or one parameter alone.
struct Unit {
  std::vector<ParameterSpec> members;

  const ParameterSpec& first() const { return members.front(); }
  bool trainable() const {
    return std::any_of(members.begin(), members.end(), [](const ParameterSpec& spec) { return !spec.frozen; });
  }
};

std::vector<Unit> make_units(const std::vector<ParameterSpec>& specs) {
  std::vector<Unit> units;
  std::map<std::string, size_t> by_group;
  for (const ParameterSpec& spec : specs) {
    if (spec.group.empty()) {
      units.push_back({{spec}});
      continue;
    }
    const auto [place, added] = by_group.try_emplace(spec.group, units.size());
    if (added) units.emplace_back();
    Unit& unit = units[place->second];
    unit.members.push_back(spec);
    const ParameterSpec& first = unit.first();
    TXTSUM_CHECK(spec.block == first.block && spec.decay == first.decay && !spec.vocabulary, spec.name);
    TXTSUM_CHECK(std::equal(spec.shape.begin() + 1, spec.shape.end(), first.shape.begin() + 1, first.shape.end()),
                 spec.name);
  }
  // Trainable range first, then by block, matrices before vectors; stable, so as declared otherwise.
  std::stable_sort(units.begin(), units.end(), [](const Unit& a, const Unit& b) {
    if (a.trainable() != b.trainable()) return a.trainable();
    if (a.first().block != b.first().block) return a.first().block < b.first().block;
    return a.first().decay && !b.first().decay;
  });
  return units;
}

int64_t padded_numel(const ParameterSpec& spec) {
  if (!spec.vocabulary) return product(spec.shape);
  return product(spec.shape) / spec.shape[0] * round_up(spec.shape[0], kVocabularyRows);
}

}  // namespace

ArenaLayout::ArenaLayout(const std::vector<ParameterSpec>& specs) {
  int64_t offset = 0;
  for (const Unit& unit : make_units(specs)) {
    const bool trainable = unit.trainable();
    TXTSUM_CHECK(!trainable || trainable_numel_ == offset, "trainable units come first");
    const int64_t begin = offset;
    int64_t group_rows = 0;
    for (const ParameterSpec& spec : unit.members) {
      ArenaEntry entry{spec.name,  spec.shape,  offset,   product(spec.shape), padded_numel(spec), spec.block,
                       spec.decay, spec.frozen, trainable};
      std::vector<int64_t> view_shape = entry.shape;
      if (spec.vocabulary) view_shape[0] = round_up(view_shape[0], kVocabularyRows);
      views_.push_back({entry.name, std::move(view_shape), entry.offset, trainable});
      group_rows += spec.shape[0];
      offset += entry.padded_numel;
      if (trainable) {
        const int64_t end = &spec == &unit.members.back() ? round_up(offset, kAlignment) : offset;
        const bool joins = !update_ranges_.empty() && update_ranges_.back().decay == spec.decay &&
                           update_ranges_.back().frozen == spec.frozen;
        if (joins) {
          update_ranges_.back().end = end;
        } else {
          update_ranges_.push_back({entry.offset, end, spec.decay, spec.frozen});
        }
      }
      block_count_ = std::max(block_count_, spec.block + 1);
      entries_.push_back(std::move(entry));
    }
    if (!unit.first().group.empty()) {
      std::vector<int64_t> shape = unit.first().shape;
      shape[0] = group_rows;
      views_.push_back({unit.first().group, std::move(shape), begin, trainable});
    }
    offset = round_up(offset, kAlignment);
    if (trainable) trainable_numel_ = offset;
  }
  total_numel_ = offset;
}

int64_t ArenaLayout::view_index(const std::string& name) const {
  for (size_t i = 0; i < views_.size(); ++i) {
    if (views_[i].name == name) return static_cast<int64_t>(i);
  }
  TXTSUM_CHECK(false, "no parameter or group named ", name);
  return -1;
}

const ArenaEntry* ArenaLayout::find(const std::string& name) const {
  for (const ArenaEntry& entry : entries_) {
    if (entry.name == name) return &entry;
  }
  return nullptr;
}

Arena::Arena(ArenaLayout layout, at::ScalarType dtype)
    : layout_(std::move(layout)), values_(at::zeros({layout_.total_numel()}, dtype)) {}

void Arena::allocate_gradients(at::ScalarType dtype) {
  gradients_ = at::zeros({layout_.trainable_numel()}, values_.options().dtype(dtype));
}

void Arena::move_to(const at::Device& device) {
  TXTSUM_CHECK(!gradients_.defined(), "weights move before gradients are made");
  values_ = values_.to(device);
}

at::Tensor Arena::entry_of(const at::Tensor& arena, const ArenaEntry& entry) {
  return arena.narrow(0, entry.offset, entry.numel).view(entry.shape);
}

at::Tensor Arena::entry_values(const ArenaEntry& entry) const { return entry_of(values_, entry); }

at::Tensor Arena::slice(const at::Tensor& arena, const ArenaView& view) const {
  return arena.narrow(0, view.offset, product(view.shape)).view(view.shape);
}

at::Tensor Arena::value(int64_t index) const { return slice(values_, layout_.views()[static_cast<size_t>(index)]); }

at::Tensor Arena::gradient(int64_t index) const {
  const ArenaView& view = layout_.views()[static_cast<size_t>(index)];
  if (!view.in_trainable_range || !gradients_.defined()) return {};
  return slice(gradients_, view);
}

}  // namespace txtsum::model
