#pragma once

#include <ATen/core/Tensor.h>

#include "txtsum/ops/parameter.h"

// Relative positions (Raffel et al. 2020, section 2.1): what a head adds to the score of a query and a key is learned
// for buckets of their distance. Near distances have a bucket each, far ones share buckets that grow like a logarithm.
// U: buckets; H: heads.

namespace txtsum::ops {

/// How distances fall into buckets.
struct RelativeBuckets {
  int64_t count = 32;          ///< U
  int64_t max_distance = 128;  ///< From here on all distances share the last bucket.
  bool bidirectional =
      true;  ///< Keys behind the query have half of the buckets; otherwise they all count as distance 0.
};

/// A table of biases and where in it each distance lies.
struct RelativeBias {
  ParamRef table_UH;       ///< Index -1: there is no bias.
  at::Tensor bucket_of_E;  ///< int64, E = 2 max_distance + 1: the bucket of (key - query) + max_distance.

  bool present() const { return table_UH.index >= 0; }
};

/// Reads the buckets of all distances off transformers' formula, in its arithmetic. `device`: where the table is.
RelativeBias make_relative_bias(const ParamRef& table_UH, const RelativeBuckets& buckets, const at::Device& device);

/// Biases of the distances (key - query) first, first + 1, ...: fp32, [H, count], where the table is.
at::Tensor bias_of_distances(const RelativeBias& bias, int64_t first, int64_t count);

/// Adds the gradient of bias_of_distances' result to the table's; d: fp32, [H, count].
void add_bias_gradient(const RelativeBias& bias, int64_t first, const at::Tensor& d_HC);

}  // namespace txtsum::ops
