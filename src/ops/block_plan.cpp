#include "txtsum/ops/block_plan.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstring>

#include "txtsum/core/check.h"
#include "txtsum/core/error.h"
#include "txtsum/core/random.h"

namespace txtsum::ops {
namespace {

BlockEntry entry_of(int64_t block, int64_t times) { return static_cast<BlockEntry>(block | (times - 1) << kBlockBits); }

/// What row `row` sees beside random blocks, ascending.
std::vector<int64_t> fixed_blocks(int64_t row, int64_t blocks) {
  std::vector<int64_t> seen{0};
  for (int64_t near = std::max<int64_t>(row - 1, 1); near <= std::min(row + 1, blocks - 2); ++near) {
    seen.push_back(near);
  }
  seen.push_back(blocks - 1);
  return seen;
}

/// `count` distinct blocks that are not in `seen`, by the first steps of a Fisher-Yates shuffle.
std::vector<int64_t> draw_blocks(const std::vector<int64_t>& seen, int64_t blocks, int64_t count,
                                 core::RandomStream& random) {
  std::vector<int64_t> others;
  for (int64_t block = 0; block < blocks; ++block) {
    if (std::find(seen.begin(), seen.end(), block) == seen.end()) others.push_back(block);
  }
  TXTSUM_CHECK(static_cast<int64_t>(others.size()) >= count, blocks);
  for (int64_t i = 0; i < count; ++i) {
    const auto left = static_cast<uint64_t>(others.size()) - static_cast<uint64_t>(i);
    std::swap(others[static_cast<size_t>(i)], others[static_cast<size_t>(i) + random.next_below(left)]);
  }
  others.resize(static_cast<size_t>(count));
  return others;
}

std::vector<BlockEntry> all_blocks(int64_t blocks) {
  std::vector<BlockEntry> entries;
  for (int64_t block = 0; block < blocks; ++block) entries.push_back(entry_of(block, 1));
  return entries;
}

/// The lists of one head over a number of blocks, row by row.
std::vector<std::vector<BlockEntry>> rows_of(const BlockRule& rule, int64_t head, int64_t blocks) {
  std::vector<std::vector<BlockEntry>> rows;
  core::RandomStream random(rule.seed.value_or(0), static_cast<uint64_t>(rule.layer) << 40 |
                                                       static_cast<uint64_t>(head) << 20 |
                                                       static_cast<uint64_t>(blocks));
  for (int64_t row = 0; row < blocks; ++row) {
    if (blocks <= rule.full_blocks() || row == 0 || row == blocks - 1) {
      rows.push_back(all_blocks(blocks));
      continue;
    }
    std::vector<int64_t> seen = fixed_blocks(row, blocks);
    if (rule.seed) {
      const std::vector<int64_t> drawn = draw_blocks(seen, blocks, rule.random, random);
      seen.insert(seen.end(), drawn.begin(), drawn.end());
      std::sort(seen.begin(), seen.end());
    }
    std::vector<BlockEntry> entries;
    for (const int64_t block : seen) {
      entries.push_back(entry_of(block, block == 0 && !rule.seed ? 1 + rule.random : 1));
    }
    rows.push_back(std::move(entries));
  }
  return rows;
}

/// The same pairs seen from the other side.
std::vector<std::vector<BlockEntry>> transposed(const std::vector<std::vector<BlockEntry>>& rows) {
  std::vector<std::vector<BlockEntry>> columns(rows.size());
  for (size_t row = 0; row < rows.size(); ++row) {
    for (const BlockEntry entry : rows[row]) {
      columns[static_cast<size_t>(block_of(entry))].push_back(entry_of(static_cast<int64_t>(row), times_of(entry)));
    }
  }
  return columns;
}

void append(BlockLists& lists, const std::vector<std::vector<BlockEntry>>& rows) {
  for (const std::vector<BlockEntry>& row : rows) {
    lists.entries.insert(lists.entries.end(), row.begin(), row.end());
    lists.starts.push_back(static_cast<int32_t>(lists.entries.size()));
  }
}

template <typename T>
at::Tensor on_device(const std::vector<T>& values, at::ScalarType type, const at::Device& device) {
  const at::Tensor tensor = at::empty({static_cast<int64_t>(values.size())}, type);
  std::memcpy(tensor.mutable_data_ptr(), values.data(), values.size() * sizeof(T));
  return tensor.to(device);
}

void move_to(BlockLists& lists, const at::Device& device) {
  lists.firsts_on_device = on_device(lists.firsts, at::kInt, device);
  lists.starts_on_device = on_device(lists.starts, at::kInt, device);
  lists.entries_on_device = on_device(lists.entries, at::kShort, device);
}

void check(const BlockRule& rule, int64_t max_tokens) {
  const auto refuse = [](const std::string& what, int64_t found, const std::string& wanted) {
    throw core::DataError("block-sparse attention: " + what + " is " + std::to_string(found) + ", wanted " + wanted);
  };
  if (rule.block < 1) refuse("the size of a block", rule.block, "1 or more tokens");
  if (rule.random < 0 || rule.random >= kMaxTimes) {
    refuse("the number of random blocks", rule.random, "0 to " + std::to_string(kMaxTimes - 1));
  }
  if (rule.blocks_of(max_tokens) >= kMaxBlocks) {
    refuse("the number of blocks of the longest sequence", rule.blocks_of(max_tokens),
           "less than " + std::to_string(kMaxBlocks));
  }
}

}  // namespace

std::span<const BlockEntry> BlockLists::row(int64_t blocks, int64_t head, int64_t row) const {
  const int64_t place = firsts[static_cast<size_t>(blocks)] + (per_head ? head * blocks : 0) + row;
  const auto begin = static_cast<size_t>(starts[static_cast<size_t>(place)]);
  return {entries.data() + begin, static_cast<size_t>(starts[static_cast<size_t>(place) + 1]) - begin};
}

BlockPlan::BlockPlan(const BlockRule& rule, int64_t max_tokens, const at::Device& device)
    : rule_(rule), max_tokens_(max_tokens) {
  check(rule, max_tokens);
  for (BlockLists* lists : {&keys_, &queries_}) {
    lists->per_head = rule.seed.has_value() && rule.random > 0 && rule.heads > 1;
    lists->starts.push_back(0);
  }
  const int64_t listed_heads = keys_.per_head ? rule.heads : 1;
  for (int64_t blocks = 0; blocks <= rule.blocks_of(max_tokens); ++blocks) {
    for (BlockLists* lists : {&keys_, &queries_}) {
      lists->firsts.push_back(static_cast<int32_t>(lists->starts.size()) - 1);
    }
    for (int64_t head = 0; head < listed_heads; ++head) {
      const std::vector<std::vector<BlockEntry>> rows = rows_of(rule, head, blocks);
      append(keys_, rows);
      append(queries_, transposed(rows));
    }
  }
  if (device.is_cpu()) return;
  move_to(keys_, device);
  move_to(queries_, device);
}

double block_pairs(const BlockRule& rule, int64_t tokens) {
  const int64_t blocks = rule.blocks_of(tokens);
  const auto n = static_cast<double>(tokens), size = static_cast<double>(rule.block);
  if (blocks <= rule.full_blocks()) return n * n;
  const double last = n - static_cast<double>(blocks - 1) * size;
  const double others = last + size * static_cast<double>(rule.seed ? rule.random : 0);  // the last block, random ones
  // The first and the last row see all; the second and the last but one see one neighbour less beside these.
  return (size + last) * n + 2 * size * (3 * size + others) +
         static_cast<double>(blocks - 4) * size * (4 * size + others);
}

}  // namespace txtsum::ops
