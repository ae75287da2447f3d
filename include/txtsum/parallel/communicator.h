#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace txtsum::parallel {

/// Collectives among the ranks of a run. Every rank calls the same ones in the same order. Sums are in the tensor's
/// type and in rank order.
class Communicator {
 public:
  virtual ~Communicator() = default;
  virtual int64_t rank() const = 0;
  virtual int64_t world() const = 0;

  /// Replaces `values` by the sum over ranks.
  virtual void all_reduce(const at::Tensor& values) = 0;
  /// Writes into `shard` (numel / world elements) the sum over ranks of this rank's part of `values` (1-D).
  virtual void reduce_scatter(const at::Tensor& values, const at::Tensor& shard) = 0;
  /// Writes into `values` (1-D) the ranks' `shard`s, in rank order. `shard` may be this rank's part of `values`.
  virtual void all_gather(const at::Tensor& shard, const at::Tensor& values) = 0;
  /// Replaces `values` by rank `root`'s.
  virtual void broadcast(const at::Tensor& values, int64_t root) = 0;
  /// Replaces small host numbers by their sums over ranks, added in rank order.
  virtual void all_reduce(std::vector<double>& values) = 0;
  /// Returns when every rank has called it.
  virtual void barrier() = 0;
  /// Makes the pending and all further collectives of every rank fail with `reason`.
  virtual void abort(const std::string& reason) = 0;
};

/// The world of one rank.
std::unique_ptr<Communicator> make_single_communicator();

/// Throws UserError when WORLD_SIZE is set to more than 1: this version trains on one rank.
void check_world_size_from_environment();

}  // namespace txtsum::parallel
