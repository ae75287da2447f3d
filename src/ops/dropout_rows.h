#pragma once

#include "row_kernels.h"
#include "txtsum/ops/dropout_key.h"

namespace txtsum::ops {

/// What all rows of an active site share.
DropoutRow common_row(const DropoutKey& key);

/// Draws the rows of one dropout site.
class DropoutRows {
 public:
  explicit DropoutRows(const DropoutKey& key);
  bool active() const { return active_; }
  /// The mask of row `row` of the site's [N, D] tensor, to hand to drop_row.
  DropoutRow row(int64_t row) const;

 private:
  bool active_;
  DropoutRow common_;
  at::Tensor examples_N_, positions_N_;
  const int64_t* examples_ = nullptr;
  const int64_t* positions_ = nullptr;
};

}  // namespace txtsum::ops
