#include "device_kernels.h"
#include "device_launch.cuh"

namespace txtsum::ops::cuda {
namespace {

constexpr int kThreads = 256;

__device__ void write_starts(const SequenceStarts& in) {
  for (int64_t b = threadIdx.x; b <= in.sequences; b += kThreads) {
    const int32_t offset = in.offsets[b];
    if (b < in.sequences) in.lengths[b] = in.offsets[b + 1] - offset;
    for (int w = 0; w < SequenceStarts::kMaxWidths; ++w) {
      if (in.starts[w] != nullptr) in.starts[w][b] = offset * in.widths[w];
    }
  }
}

__global__ void __launch_bounds__(kThreads) sequence_starts_kernel(SequenceStarts queries, SequenceStarts keys) {
  write_starts(blockIdx.x == 0 ? queries : keys);
}

}  // namespace

void sequence_starts(const SequenceStarts& queries, const SequenceStarts& keys, cudaStream_t stream) {
  sequence_starts_kernel<<<2, kThreads, 0, stream>>>(queries, keys);
  check_launch("sequence_starts");
}

}  // namespace txtsum::ops::cuda
