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
      views_.push_back({entry.name, std::move(view_shape), entry.offset, entry.block, trainable,
                        static_cast<int64_t>(units_.size()), unit.members.size() == 1});
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
      views_.push_back({unit.first().group, std::move(shape), begin, unit.first().block, trainable,
                        static_cast<int64_t>(units_.size()), /*whole=*/true});
    }
    units_.push_back({begin, offset - begin, unit.first().block, trainable, unit.first().shape.size() > 1});
    offset = round_up(offset, kAlignment);
    std::vector<ArenaRange>& ranges = block_ranges_[trainable ? 1 : 0];
    // Blocks ascend: those in between have nothing here.
    ranges.resize(static_cast<size_t>(unit.first().block) + 1, {begin, begin});
    ranges.back().end = offset;
    if (trainable) trainable_numel_ = offset;
  }
  total_numel_ = offset;
  for (std::vector<ArenaRange>& ranges : block_ranges_) {
    const int64_t end = ranges.empty() ? 0 : ranges.back().end;
    ranges.resize(static_cast<size_t>(block_count_), {end, end});
  }
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
    : layout_(std::move(layout)), values_(at::zeros({layout_.total_numel()}, dtype)) {
  options_ = values_.options();
  unwritten_.assign(layout_.units().size(), false);
}

void Arena::allocate_gradients(at::ScalarType dtype) {
  gradients_ = at::zeros({layout_.trainable_numel()}, options_.dtype(dtype));
}

void Arena::move_to(const at::Device& device) {
  TXTSUM_CHECK(!gradients_.defined() && values_.defined(), "weights move before they are spread or gradients are made");
  values_ = values_.to(device);
  options_ = values_.options();
}

void Arena::place_gradients_by_block() {
  gradients_.reset();
  placed_gradients_.assign(static_cast<size_t>(layout_.block_count()), {});
}

void Arena::place_gradients(int64_t block, const at::Tensor& memory) {
  TXTSUM_CHECK(!placed_gradients_.empty(), "gradients lie in one buffer");
  TXTSUM_CHECK(!memory.defined() || memory.numel() == layout_.block_range(block, true).numel(), block);
  placed_gradients_.at(static_cast<size_t>(block)) = memory;
}

at::Tensor Arena::gradient_range(int64_t block, int64_t begin, int64_t end) const {
  if (gradients_.defined()) return gradients_.narrow(0, begin, end - begin);
  const at::Tensor& placed = placed_gradients_.at(static_cast<size_t>(block));
  TXTSUM_CHECK(placed.defined(), "the gradients of block ", block, " have no memory");
  return placed.narrow(0, begin - layout_.block_range(block, true).begin, end - begin);
}

void Arena::clear_unit(size_t unit) const {
  const ArenaUnit& cleared = layout_.units()[unit];
  gradient_range(cleared.block, cleared.offset, cleared.offset + cleared.numel).zero_();
  unwritten_[unit] = false;
}

void Arena::zero_gradients() {
  gradients_.zero_();
  unwritten_.assign(unwritten_.size(), false);
}

void Arena::clear_gradients(int64_t block) {
  const ArenaRange range = layout_.block_range(block, true);
  int64_t begin = range.begin;
  const auto clear_to = [&](int64_t end) {
    if (begin < end) gradient_range(block, begin, end).zero_();
  };
  for (size_t i = 0; i < layout_.units().size(); ++i) {
    const ArenaUnit& unit = layout_.units()[i];
    if (unit.block != block || !unit.in_trainable_range || !unit.is_matrix) continue;
    clear_to(unit.offset);
    unwritten_[i] = true;
    begin = unit.offset + unit.numel;
  }
  clear_to(range.end);
}

void Arena::settle_gradients(int64_t block) {
  for (size_t i = 0; i < unwritten_.size(); ++i) {
    if (unwritten_[i] && layout_.units()[i].block == block) clear_unit(i);
  }
}

void Arena::place_values_by_block() {
  values_.reset();
  for (auto& placed : placed_values_) placed.assign(static_cast<size_t>(layout_.block_count()), {});
}

void Arena::place_values(int64_t block, bool trainable, const at::Tensor& memory) {
  TXTSUM_CHECK(!values_.defined(), "values lie in one buffer");
  TXTSUM_CHECK(!memory.defined() || memory.numel() == layout_.block_range(block, trainable).numel(), block);
  placed_values_[trainable ? 1 : 0].at(static_cast<size_t>(block)) = memory;
}

at::Tensor Arena::entry_of(const at::Tensor& arena, const ArenaEntry& entry) {
  return arena.narrow(0, entry.offset, entry.numel).view(entry.shape);
}

at::Tensor Arena::entry_values(const ArenaEntry& entry) const {
  if (values_.defined()) return entry_of(values_, entry);
  const at::Tensor& placed = placed_values_[entry.in_trainable_range ? 1 : 0][static_cast<size_t>(entry.block)];
  TXTSUM_CHECK(placed.defined(), entry.name, " is not gathered");
  const int64_t begin = layout_.block_range(entry.block, entry.in_trainable_range).begin;
  return placed.narrow(0, entry.offset - begin, entry.numel).view(entry.shape);
}

at::Tensor Arena::slice(const at::Tensor& memory, int64_t begin, const ArenaView& view) const {
  return memory.narrow(0, view.offset - begin, product(view.shape)).view(view.shape);
}

at::Tensor Arena::value(int64_t index) const {
  const ArenaView& view = layout_.views()[static_cast<size_t>(index)];
  if (values_.defined()) return slice(values_, 0, view);
  const at::Tensor& placed = placed_values_[view.in_trainable_range ? 1 : 0][static_cast<size_t>(view.block)];
  TXTSUM_CHECK(placed.defined(), view.name, " is used outside its block");
  return slice(placed, layout_.block_range(view.block, view.in_trainable_range).begin, view);
}

at::Tensor Arena::gradient(int64_t index) const {
  if (!trains(index)) return {};
  const ArenaView& view = layout_.views()[static_cast<size_t>(index)];
  if (unwritten_[static_cast<size_t>(view.unit)]) clear_unit(static_cast<size_t>(view.unit));
  if (gradients_.defined()) return slice(gradients_, 0, view);
  const at::Tensor& placed = placed_gradients_[static_cast<size_t>(view.block)];
  TXTSUM_CHECK(placed.defined(), "the gradient of ", view.name, " is added to outside its block");
  return slice(placed, layout_.block_range(view.block, true).begin, view);
}

bool Arena::take_unwritten(int64_t index) const {
  const ArenaView& view = layout_.views()[static_cast<size_t>(index)];
  const auto unit = static_cast<size_t>(view.unit);
  if (!view.whole || !unwritten_[unit]) return false;
  unwritten_[unit] = false;
  return true;
}

bool Arena::trains(int64_t index) const {
  return layout_.views()[static_cast<size_t>(index)].in_trainable_range &&
         (gradients_.defined() || !placed_gradients_.empty());
}

}  // namespace txtsum::model
