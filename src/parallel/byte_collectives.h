#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <string>
#include <vector>

#include "byte_transport.h"

namespace txtsum::parallel {

/// Collectives over exchanges of bytes: the same on every transport, so the same bits. Tensors are in host memory,
/// contiguous, of one dimension. Each is cut into exchanges of a few MiB a pair.
class ByteCollectives {
 public:
  /// `run` carries out an exchange to its end; it sets the label.
  using RunExchange = std::function<void(Exchange& exchange)>;
  ByteCollectives(int64_t rank, int64_t world, RunExchange run);

  void reduce_scatter(const at::Tensor& values, const at::Tensor& shard);
  void all_gather(const at::Tensor& shard, const at::Tensor& values);
  void broadcast(const at::Tensor& values, int64_t root);
  std::vector<std::string> gather(const std::string& bytes);

 private:
  Exchange empty_exchange() const;
  bool is_peer(int64_t rank) const { return rank != rank_; }

  int64_t rank_, world_;
  RunExchange run_;
  std::vector<std::vector<std::byte>> received_;  ///< By rank; kept for the next reduce_scatter.
};

}  // namespace txtsum::parallel
