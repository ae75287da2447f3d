#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>

namespace txtsum::ops {

/// What one dropout site draws its mask from: Philox4x32-10 with key (seed, update) and counter (channel / 4, token
/// position, example number, site). The mask is a pure function of these, so that it is the same on every device, at a
/// resume and at a recomputation, and is not stored.
struct DropoutKey {
  double probability = 0.0;  ///< 0 switches the site off; in [0, 1).
  uint64_t seed = 0;
  int64_t update = 0;      ///< Number of the optimizer update.
  int64_t site = 0;        ///< Which dropout of the model this is; unique in a forward pass.
  at::Tensor examples_N;   ///< int64, see RaggedTokens; may be undefined when probability is 0.
  at::Tensor positions_N;  ///< int64, see RaggedTokens; may be undefined when probability is 0.
  at::Tensor words_2;      ///< int32 on a GPU, dropout_words() of seed and update: read when the kernel runs, so that a
                           ///< captured graph draws anew at each replay. Undefined: seed and update themselves count.

  bool active() const { return probability > 0.0; }
};

/// The two words of Philox's key that seed and update come to.
std::array<uint32_t, 2> dropout_words(uint64_t seed, int64_t update);

}  // namespace txtsum::ops
