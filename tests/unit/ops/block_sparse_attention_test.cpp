// Block-sparse attention against float64: a softmax under a dense table of how often a query counts a key.

#include "txtsum/ops/block_sparse_attention.h"

#include <algorithm>
#include <set>

#include "op_fixture.h"
#include "txtsum/core/error.h"

namespace txtsum::tests {
namespace {

constexpr int64_t kHeads = 2;

using BlockSparseAttention = OpTest;

/// What BigBird's rule says, written out a second time: how often the queries of block `row` count the keys of
/// `column`. The random blocks of a seeded plan are taken from the plan.
int64_t times(const ops::BlockPlan& plan, int64_t blocks, int64_t head, int64_t row, int64_t column) {
  const ops::BlockRule& rule = plan.rule();
  if (blocks <= 5 + 2 * rule.random || row == 0 || row == blocks - 1) return 1;
  if (!rule.seed) return column == 0 ? 1 + rule.random : column == blocks - 1 || std::abs(row - column) <= 1;
  if (column == 0 || column == blocks - 1 || std::abs(row - column) <= 1) return 1;
  for (const ops::BlockEntry entry : plan.keys().row(blocks, head, row)) {
    if (ops::block_of(entry) == column) return 1;
  }
  return 0;
}

/// [H, n, n]: log of how often each query counts each key.
at::Tensor log_times(const ops::BlockPlan& plan, int64_t n) {
  const int64_t size = plan.rule().block, blocks = plan.rule().blocks_of(n);
  at::Tensor table = at::empty({plan.rule().heads, blocks, blocks}, at::kDouble);
  for (int64_t h = 0; h < plan.rule().heads; ++h) {
    for (int64_t row = 0; row < blocks; ++row) {
      for (int64_t column = 0; column < blocks; ++column) {
        table[h][row][column] = static_cast<double>(times(plan, blocks, h, row, column));
      }
    }
  }
  table = table.repeat_interleave(size, 1).repeat_interleave(size, 2);
  return table.narrow(1, 0, n).narrow(2, 0, n).log().to(test_device());
}

at::Tensor reference(const at::Tensor& qkv, const ops::BlockPlan& plan, double scale) {
  const int64_t n = qkv.size(0), heads = plan.rule().heads, width = qkv.size(1) / 3;
  const at::Tensor parts = qkv.view({n, 3, heads, width / heads}).permute({1, 2, 0, 3});
  const at::Tensor scores = at::matmul(parts[0], parts[1].transpose(1, 2)) * scale + log_times(plan, n);
  return at::matmul(at::softmax(scores, -1), parts[2]).transpose(0, 1).reshape({n, width});
}

struct Case {
  int64_t block = 4, random = 1, head_width = 16;
  std::optional<uint64_t> seed;
  std::vector<int64_t> lengths;
};

void expect_equal_to_float64(const Case& test, at::ScalarType dtype) {
  const int64_t width = kHeads * test.head_width;
  const ops::RaggedTokens tokens = draw_tokens(test.lengths, 9);
  const auto plan = std::make_shared<const ops::BlockPlan>(
      ops::BlockRule{test.block, test.random, kHeads, test.seed, /*layer=*/3}, tokens.longest, test_device());
  const at::Tensor qkv = leaf(draw({tokens.tokens(), 3 * width}, dtype)), d_out = draw({tokens.tokens(), width}, dtype);
  const at::Tensor y = ops::block_sparse_attention(qkv, tokens, plan, 0.25);
  y.backward(d_out);
  const at::Tensor Q = reference_leaf(qkv);
  std::vector<at::Tensor> parts;
  for (size_t b = 0; b < test.lengths.size(); ++b) {
    if (test.lengths[b] == 0) continue;
    parts.push_back(reference(Q.slice(0, tokens.offsets[b], tokens.offsets[b + 1]), *plan, 0.25));
  }
  const at::Tensor Y = at::cat(parts);
  Y.backward(d_out.to(at::kDouble));
  EXPECT_LT(error_of(y, Y), tolerance_of(dtype));
  EXPECT_LT(error_of(qkv.grad(), Q.grad()), tolerance_of(dtype));
}

/// Around the change from full to sparse, which is behind 5 + 2 * random blocks; partial last blocks; one is empty.
TEST_F(BlockSparseAttention, EqualsADenseTableInFloat64) {
  for (const at::ScalarType dtype : tested_types()) {
    for (const std::optional<uint64_t>& seed : {std::optional<uint64_t>(), std::optional<uint64_t>(11)}) {
      SCOPED_TRACE(std::string(c10::toString(dtype)) + (seed ? " seeded" : " as transformers evaluates"));
      expect_equal_to_float64({4, 1, 16, seed, {1, 4, 28, 29, 3, 0, 61, 32, 40, 15}}, dtype);
      expect_equal_to_float64({4, 2, 8, seed, {36, 37, 2, 80}}, dtype);
      expect_equal_to_float64({7, 0, 16, seed, {35, 36, 100}}, dtype);
      expect_equal_to_float64({1, 3, 8, seed, {11, 12, 50}}, dtype);
    }
  }
}

/// Published sizes. On a GPU in bf16 and fp16 this is the kernel, for both widths of heads.
TEST_F(BlockSparseAttention, OfThePublishedSizesEqualsADenseTableInFloat64) {
  for (const at::ScalarType dtype : tested_types()) {
    for (const int64_t head_width : {64, 128}) {
      for (const std::optional<uint64_t>& seed : {std::optional<uint64_t>(), std::optional<uint64_t>(5)}) {
        SCOPED_TRACE(std::string(c10::toString(dtype)) + ", heads of " + std::to_string(head_width) +
                     (seed ? ", seeded" : ", as transformers evaluates"));
        expect_equal_to_float64({64, 3, head_width, seed, {704, 1, 705, 0, 64, 1100, 63, 65}}, dtype);
      }
    }
  }
}

TEST_F(BlockSparseAttention, WithAllBlocksChosenIsFullAttention) {
  const ops::RaggedTokens tokens = draw_tokens({12 * 4 - 1}, 9);
  // As many random blocks as there are blocks outside of a row's own five.
  const ops::BlockRule rule{4, 7, kHeads, 3};
  const auto all = std::make_shared<const ops::BlockPlan>(rule, tokens.longest, test_device());
  const at::Tensor qkv = draw({tokens.tokens(), 3 * kHeads * 16});
  const at::Tensor parts = qkv.to(at::kDouble).view({tokens.tokens(), 3, kHeads, 16}).permute({1, 2, 0, 3});
  const at::Tensor full =
      at::matmul(at::softmax(at::matmul(parts[0], parts[1].transpose(1, 2)) * 0.25, -1), parts[2]).transpose(0, 1);
  EXPECT_LT(error_of(ops::block_sparse_attention(qkv, tokens, all, 0.25), full.reshape({tokens.tokens(), -1})),
            kOpTolerance);
}

TEST_F(BlockSparseAttention, RandomBlocksAreDistinctAndAPureFunctionOfSeedLayerHeadAndLength) {
  const ops::BlockRule rule{2, 3, 4, 42, 1};
  const ops::BlockPlan plan(rule, 60, at::kCPU), again(rule, 40, at::kCPU);
  ops::BlockRule other = rule;
  other.seed = 43;
  const ops::BlockPlan of_other_seed(other, 60, at::kCPU);
  other = rule;
  other.layer = 2;
  const ops::BlockPlan of_other_layer(other, 60, at::kCPU);
  EXPECT_EQ(plan.rule().full_blocks(), 11);
  std::set<std::vector<ops::BlockEntry>> of_heads;
  for (int64_t blocks = 12; blocks <= 30; ++blocks) {
    for (int64_t head = 0; head < 4; ++head) {
      std::vector<ops::BlockEntry> whole;
      for (int64_t row = 1; row < blocks - 1; ++row) {
        const auto list = plan.keys().row(blocks, head, row);
        EXPECT_EQ(list.size(), row == 1 || row == blocks - 2 ? 7u : 8u);
        const std::set<ops::BlockEntry> distinct(list.begin(), list.end());
        EXPECT_EQ(distinct.size(), list.size());
        for (const int64_t seen : {int64_t{0}, row - 1, row, row + 1, blocks - 1}) {
          EXPECT_TRUE(distinct.contains(static_cast<ops::BlockEntry>(seen)));
        }
        EXPECT_LT(*distinct.rbegin(), blocks);
        whole.insert(whole.end(), list.begin(), list.end());
        if (blocks > 20) continue;
        const auto repeated = again.keys().row(blocks, head, row);
        EXPECT_TRUE(std::equal(list.begin(), list.end(), repeated.begin(), repeated.end()));
      }
      of_heads.insert(whole);
      const auto rows_of = [&](const ops::BlockPlan& from) {
        std::vector<ops::BlockEntry> rows;
        for (int64_t row = 1; row < blocks - 1; ++row) {
          const auto list = from.keys().row(blocks, head, row);
          rows.insert(rows.end(), list.begin(), list.end());
        }
        return rows;
      };
      EXPECT_NE(rows_of(of_other_seed), whole);
      EXPECT_NE(rows_of(of_other_layer), whole);
    }
  }
  EXPECT_EQ(of_heads.size(), 4u * 19u);
}

TEST_F(BlockSparseAttention, ListsOfBothSidesHaveTheSamePairs) {
  for (const std::optional<uint64_t>& seed : {std::optional<uint64_t>(), std::optional<uint64_t>(8)}) {
    const ops::BlockPlan plan({1, 2, 3, seed}, 17, at::kCPU);
    for (int64_t blocks = 0; blocks <= 17; ++blocks) {
      for (int64_t head = 0; head < 3; ++head) {
        std::set<std::vector<int64_t>> by_query, by_key;
        double pairs = 0;
        for (int64_t row = 0; row < blocks; ++row) {
          for (const ops::BlockEntry entry : plan.keys().row(blocks, head, row)) {
            by_query.insert({row, ops::block_of(entry), ops::times_of(entry)});
            ++pairs;
          }
          for (const ops::BlockEntry entry : plan.queries().row(blocks, head, row)) {
            by_key.insert({ops::block_of(entry), row, ops::times_of(entry)});
          }
        }
        EXPECT_EQ(by_query, by_key) << blocks;
        EXPECT_EQ(ops::block_pairs(plan.rule(), blocks), pairs) << blocks;
      }
    }
  }
}

/// With partial blocks, counted one by one.
TEST_F(BlockSparseAttention, PairsAreThoseOfTheTable) {
  for (const std::optional<uint64_t>& seed : {std::optional<uint64_t>(), std::optional<uint64_t>(8)}) {
    const ops::BlockPlan plan({4, 1, 1, seed}, 60, at::kCPU);
    for (int64_t n = 1; n <= 60; ++n) {
      const at::Tensor seen = log_times(plan, n).cpu().isfinite();
      EXPECT_EQ(ops::block_pairs(plan.rule(), n), seen.sum().item<double>()) << n;
    }
  }
}

TEST_F(BlockSparseAttention, RulesOutOfRangeAreRefused) {
  EXPECT_THROW(ops::BlockPlan({0, 1, 1, {}}, 10, at::kCPU), core::DataError);
  EXPECT_THROW(ops::BlockPlan({4, 16, 1, {}}, 10, at::kCPU), core::DataError);
  EXPECT_THROW(ops::BlockPlan({1, 1, 1, {}}, 1 << 12, at::kCPU), core::DataError);
}

}  // namespace
}  // namespace txtsum::tests
