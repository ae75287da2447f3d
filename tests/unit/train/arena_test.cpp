#include "txtsum/model/arena.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <limits>

namespace txtsum::tests {
namespace {

constexpr float kAnything = std::numeric_limits<float>::quiet_NaN();

/// A matrix whose numel is no multiple of the alignment, a group of two, a vector, a padded vocabulary.
model::Arena filled_arena() {
  model::Arena arena(model::ArenaLayout({{"matrix", {5, 7}, 0, true, "", false, false},
                                         {"pair.a", {2, 3}, 0, true, "pair", false, false},
                                         {"pair.b", {4, 3}, 0, true, "pair", false, false},
                                         {"vector", {11}, 0, false, "", false, false},
                                         {"table", {3, 2}, 1, true, "", true, false}}),
                     at::kFloat);
  arena.allocate_gradients(at::kFloat);
  arena.gradients().fill_(kAnything);
  return arena;
}

int64_t count_of_anything(const at::Tensor& memory) { return memory.isnan().sum().item<int64_t>(); }

TEST(Arena, ClearedVectorsAndGapsAreZeroInMemoryAndMatricesAsTheyWere) {
  model::Arena arena = filled_arena();
  arena.clear_gradients(0);
  arena.clear_gradients(1);
  EXPECT_EQ(count_of_anything(arena.gradients()), 5 * 7 + 6 * 3 + 64 * 2);
}

TEST(Arena, AGradientThatIsAskedForIsClear) {
  model::Arena arena = filled_arena();
  arena.clear_gradients(0);
  // A member clears its group.
  EXPECT_EQ(arena.ref("pair.b").gradient().abs().max().item<float>(), 0.0F);
  EXPECT_EQ(arena.ref("pair").gradient().abs().max().item<float>(), 0.0F);
  arena.ref("pair").gradient().fill_(2.0);
  EXPECT_EQ(arena.ref("pair.a").gradient().min().item<float>(), 2.0F) << "cleared once";
}

TEST(Arena, WhoTakesWhatIsUnwrittenWritesItAndIsAskedOnce) {
  model::Arena arena = filled_arena();
  const auto takes = [&](const char* name) { return arena.take_unwritten(arena.layout().view_index(name)); };
  EXPECT_FALSE(takes("matrix")) << "nothing was cleared";
  arena.clear_gradients(0);
  EXPECT_FALSE(takes("vector"));
  EXPECT_FALSE(takes("pair.a")) << "a part of what is cleared as one";
  EXPECT_TRUE(takes("pair"));
  EXPECT_FALSE(takes("pair"));
  EXPECT_FALSE(takes("table")) << "another block";
  EXPECT_EQ(count_of_anything(arena.ref("pair").gradient()), 6 * 3) << "the caller writes it";
}

TEST(Arena, SettledGradientsAreZeroWhereNobodyWrote) {
  model::Arena arena = filled_arena();
  arena.clear_gradients(0);
  ASSERT_TRUE(arena.take_unwritten(arena.layout().view_index("matrix")));
  arena.ref("matrix").gradient().fill_(1.0);
  arena.settle_gradients(0);
  const model::ArenaRange block = arena.layout().block_range(0, true);
  EXPECT_EQ(arena.gradients().narrow(0, block.begin, block.numel()).sum().item<float>(), 5 * 7);
  EXPECT_GT(count_of_anything(arena.gradients()), 0) << "another block's";
  arena.zero_gradients();
  EXPECT_EQ(arena.gradients().abs().max().item<float>(), 0.0F);
}

}  // namespace
}  // namespace txtsum::tests
