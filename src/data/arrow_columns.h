#pragma once

#include <arrow/record_batch.h>
#include <arrow/result.h>
#include <arrow/type.h>

#include <memory>
#include <stdexcept>
#include <vector>

#include "arrow_interface.h"

namespace txtsum::data {

/// Throws with Arrow's words where `status` is an error.
inline void require_ok(const arrow::Status& status) {
  if (!status.ok()) throw std::runtime_error(status.message());
}

template <typename Value>
Value value_of(arrow::Result<Value> result) {
  require_ok(result.status());
  return std::move(result).ValueOrDie();
}

/// The columns of a file, in its order.
std::vector<ArrowColumn> columns_of(const arrow::Schema& schema);

/// Turns Arrow's batches into ours. Arrow gives selected columns in the order of the file, whatever was asked for.
class BatchMaker {
 public:
  BatchMaker() = default;
  explicit BatchMaker(const std::vector<size_t>& selected);

  /// The selection in the order of the file.
  const std::vector<int>& in_file_order() const { return in_file_order_; }
  /// Checks every offset and index that reading would follow.
  std::shared_ptr<const ArrowBatch> make(const std::shared_ptr<arrow::RecordBatch>& batch);

 private:
  std::vector<int> in_file_order_;
  std::vector<size_t> places_;  // of the selection's columns, in in_file_order_
  // A dictionary serves many batches and is checked once.
  std::vector<std::shared_ptr<arrow::ArrayData>> checked_dictionaries_;
};

}  // namespace txtsum::data
