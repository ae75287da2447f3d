#pragma once

#include <ATen/core/Tensor.h>

#include "txtsum/parallel/communicator.h"

// What a rank of rank_program does where sums need not have the host communicators' bits: on GPUs, through NCCL.

namespace txtsum::tests {

/// Compares every collective with what the host computes of all ranks' values: fp32 and fp64 bit for bit for two ranks,
/// else within the type's rounding at each addition. Throws DataError.
void compare_with_host(parallel::Communicator& ranks, const at::Device& device);

/// The same for collectives in a CUDA graph that is replayed three times.
void check_graph(parallel::Communicator& ranks, const at::Device& device);

/// Replays a graph of collectives once an update; in the fifth, rank `victim` is killed.
void replay_until_killed(parallel::Communicator& ranks, const at::Device& device, int64_t victim);

/// Prints, on rank 0, GB/s of reduce_scatter and all_gather of bf16: of the bus, bytes * (n - 1) / n / seconds.
void print_bandwidth(parallel::Communicator& ranks, const at::Device& device);

}  // namespace txtsum::tests
