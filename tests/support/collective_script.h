#pragma once

#include <ATen/ATen.h>

#include <string>

#include "txtsum/parallel/communicator.h"

namespace txtsum::tests {

/// Rank `rank`'s values: another order of adding them gives other bits.
inline at::Tensor rank_values(int64_t rank, int64_t numel, at::ScalarType type) {
  const at::Tensor index = at::arange(numel, at::kDouble);
  return at::sin(index * 0.7 + static_cast<double>(rank)).mul(rank == 1 ? 1e3 : 1.0).to(type);
}

/// The part of `values` that the rank has.
inline at::Tensor own_part(const at::Tensor& values, const parallel::Communicator& ranks) {
  const parallel::Part part = parallel::part_of(values.numel(), ranks.world(), ranks.rank());
  return values.slice(0, part.begin, part.end);
}

/// Carries out every collective on several types and sizes, on tensors of `device`; returns all bytes that it gave, and
/// what was counted meanwhile.
inline std::string run_collectives(parallel::Communicator& ranks, const at::Device& device = at::kCPU) {
  std::string bytes;
  // Who makes a communicator for a GPU may have used it already.
  const parallel::TrafficCounts before = ranks.counts();
  const auto keep = [&](const at::Tensor& values) {
    const at::Tensor host = values.to(at::kCPU);
    bytes.append(static_cast<const char*>(host.const_data_ptr()), host.nbytes());
  };
  for (const at::ScalarType type : {at::kFloat, at::kDouble, at::kBFloat16, at::kHalf}) {
    // The last is more than one exchange for each of two ranks.
    for (const int64_t numel : {0, 1, 33, 5003, type == at::kFloat ? 2'200'003 : 70'001}) {
      ranks.set_phase(numel, "backward");
      const at::Tensor values = rank_values(ranks.rank(), numel, type).to(device);
      const at::Tensor shard = at::empty_like(own_part(values, ranks));
      const at::Tensor all = at::empty_like(values);
      ranks.wait(ranks.reduce_scatter(values, shard));
      const parallel::TicketRef gather = ranks.all_gather(shard, all);
      const parallel::TicketRef broadcast = ranks.broadcast(values, ranks.world() - 1);
      ranks.wait(broadcast);
      ranks.wait(gather);
      keep(shard);
      keep(all);
      keep(values);
    }
  }
  std::vector<double> numbers{0.1 * static_cast<double>(ranks.rank()), 1e16 * static_cast<double>(1 - ranks.rank())};
  ranks.all_reduce(numbers);
  bytes.append(reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(double));
  for (const std::string& each : ranks.gather_bytes(std::string(static_cast<size_t>(ranks.rank() * 3), 'r'))) {
    bytes += each + ";";
  }
  ranks.barrier();
  const parallel::TrafficCounts& after = ranks.counts();
  for (const int64_t count :
       {after.reduce_scatter_elements - before.reduce_scatter_elements,
        after.all_gather_elements - before.all_gather_elements, after.broadcast_elements - before.broadcast_elements,
        after.bytes - before.bytes, after.collectives - before.collectives}) {
    bytes += std::to_string(count) + " ";
  }
  return bytes;
}

}  // namespace txtsum::tests
