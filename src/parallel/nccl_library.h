#pragma once

#include <nccl.h>

#include <string>

namespace txtsum::parallel {

/// The functions of NCCL that this layer calls. Nothing is linked with NCCL: LibTorch's CUDA libraries have loaded one,
/// from wherever they find theirs, and a process must not have two.
struct NcclLibrary {
  decltype(&ncclGetUniqueId) get_unique_id;
  decltype(&ncclGetErrorString) get_error_string;
  decltype(&ncclGetLastError) get_last_error;
  decltype(&ncclCommInitRankConfig) comm_init_rank_config;
  decltype(&ncclCommGetAsyncError) comm_get_async_error;
  decltype(&ncclCommFinalize) comm_finalize;
  decltype(&ncclCommDestroy) comm_destroy;
  decltype(&ncclCommAbort) comm_abort;
  decltype(&ncclReduceScatter) reduce_scatter;
  decltype(&ncclAllGather) all_gather;
  decltype(&ncclBroadcast) broadcast;
  std::string version;  ///< `2.28.9`
  std::string file;     ///< Where it was loaded from.

  /// `unhandled system error: ...`: the code in words, and what NCCL noted last.
  std::string error_text(ncclResult_t code) const;
};

/// Throws EnvironmentError where there is none, or one that is older than the header.
const NcclLibrary& nccl_library();

}  // namespace txtsum::parallel
