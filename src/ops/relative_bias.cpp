#include "txtsum/ops/relative_bias.h"

#include <ATen/ATen.h>

#include <cmath>

#include "txtsum/core/check.h"

namespace txtsum::ops {
namespace {

/// Rows of the table for distances from `first` on: int64, [count].
at::Tensor rows_of(const RelativeBias& bias, int64_t first, int64_t count) {
  const int64_t farthest = bias.bucket_of_E.size(0) / 2;
  const at::Tensor distances = at::arange(first, first + count, bias.bucket_of_E.options());
  return bias.bucket_of_E.index_select(0, distances.clamp(-farthest, farthest) + farthest);
}

}  // namespace

RelativeBias make_relative_bias(const ParamRef& table_UH, const RelativeBuckets& buckets, const at::Device& device) {
  const int64_t side = buckets.bidirectional ? buckets.count / 2 : buckets.count, exact = side / 2;
  TXTSUM_CHECK(exact > 0 && buckets.max_distance > exact, buckets.count, " buckets up to ", buckets.max_distance);
  const at::Tensor keys_from_query =
      at::arange(-buckets.max_distance, buckets.max_distance + 1, at::TensorOptions().dtype(at::kLong));
  const at::Tensor distance = buckets.bidirectional ? keys_from_query.abs() : keys_from_query.clamp_max(0).neg();
  // In fp32, as transformers has it: a logarithm that falls on a bound decides the bucket. Distance 0 is near.
  const double logarithms = std::log(static_cast<double>(buckets.max_distance) / static_cast<double>(exact));
  const at::Tensor far = at::log(distance.clamp_min(1).to(at::kFloat) / static_cast<double>(exact))
                             .div_(logarithms)
                             .mul_(static_cast<double>(side - exact))
                             .to(at::kLong)
                             .add_(exact)
                             .clamp_max_(side - 1);
  at::Tensor bucket = at::where(distance < exact, distance, far);
  if (buckets.bidirectional) bucket = bucket + (keys_from_query > 0).to(at::kLong) * side;
  return {table_UH, bucket.to(device)};
}

at::Tensor bias_of_distances(const RelativeBias& bias, int64_t first, int64_t count) {
  return bias.table_UH.value().to(at::kFloat).index_select(0, rows_of(bias, first, count)).t().contiguous();
}

void add_bias_gradient(const RelativeBias& bias, int64_t first, const at::Tensor& d_HC) {
  const at::Tensor gradient = bias.table_UH.gradient();
  // A product instead of index_add, whose order of additions is not fixed on a GPU.
  const at::Tensor buckets = at::arange(gradient.size(0), bias.bucket_of_E.options());
  const at::Tensor chosen_UC = buckets.unsqueeze(1).eq(rows_of(bias, first, d_HC.size(1))).to(at::kFloat);
  gradient.add_(at::mm(chosen_UC, d_HC.t()));
}

}  // namespace txtsum::ops
