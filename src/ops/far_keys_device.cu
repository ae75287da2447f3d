// Global keys outside the window. A group of lanes has one query and head, eight channels a lane.

#include <stdexcept>
#include <type_traits>

#include "device_launch.cuh"
#include "device_row.cuh"
#include "far_keys_kernels.h"

namespace txtsum::ops::cuda {
namespace {

constexpr int kThreads = 128;
/// Queries of a piece, where there are few global keys.
constexpr int64_t kPieceRows = 64;
/// Global keys of a batch from which on pieces grow, so that their partial sums take no more memory.
constexpr int64_t kFewGlobals = 32;

int64_t piece_rows(int64_t globals) { return kPieceRows * ((globals + kFewGlobals - 1) / kFewGlobals); }

template <int kLanes>
__device__ __forceinline__ float group_sum(float x) {
#pragma unroll
  for (int step = kLanes / 2; step > 0; step /= 2) x += __shfl_xor_sync(0xFFFFFFFFu, x, step);
  return x;
}

__device__ __forceinline__ int warp_max(int x) {
#pragma unroll
  for (int step = kWarp / 2; step > 0; step /= 2) x = max(x, __shfl_xor_sync(0xFFFFFFFFu, x, step));
  return x;
}

/// This lane's share of a product; sum it over the group.
__device__ __forceinline__ float product(const float (&a)[kVector], const float (&b)[kVector]) {
  float sum = 0.0f;
#pragma unroll
  for (int i = 0; i < kVector; ++i) sum += a[i] * b[i];
  return sum;
}

/// Eight elements; zeros for a lane behind the head's end.
template <typename T>
__device__ __forceinline__ void load_share(const T* from, bool inside, float (&values)[kVector]) {
  if (inside) return load8(from, values);
#pragma unroll
  for (int i = 0; i < kVector; ++i) values[i] = 0.0f;
}

/// A lane's place: which query and head its group has, and which channels are its own.
struct Lane {
  int64_t token;
  int head;
  int64_t channel;  ///< Within the row of all heads.
  bool inside;      ///< The lane has channels of the head.
};

template <int kLanes>
__device__ __forceinline__ bool find_lane(const FarKeys& in, Lane& lane) {
  const int64_t item = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) / kLanes;
  const int within = static_cast<int>(threadIdx.x) % kLanes * kVector;
  // All lanes of a warp stay for its sums: groups behind the end take the last item, and write nothing.
  const int64_t last = in.tokens * in.heads - 1, known = item < last ? item : last;
  lane.token = known / in.heads;
  lane.head = static_cast<int>(known % in.heads);
  lane.channel = lane.head * in.head_width + within;
  lane.inside = within < in.head_width;
  return item <= last;
}

__device__ __forceinline__ bool is_far(const FarKeys& in, int64_t token, int64_t row) {
  return (token > row ? token - row : row - token) > in.window;
}

/// Calls `visit` with the row of each far key of the lane's sequence. Lanes of a warp may stand in different sequences:
/// all go through as many keys as the one with the most, and those without a key get row -1.
template <typename Visit>
__device__ __forceinline__ void for_far_keys(const FarKeys& in, const Lane& lane, const Visit& visit) {
  const int sequence = in.sequence_of_token[lane.token];
  const int begin = in.global_offsets[sequence], count = in.global_offsets[sequence + 1] - begin;
  const int most = warp_max(count);
  for (int i = 0; i < most; ++i) {
    int64_t row = i < count ? in.rows[begin + i] : -1;
    if (row >= 0 && !is_far(in, lane.token, row)) row = -1;
    if (__any_sync(0xFFFFFFFFu, row >= 0)) visit(row);
  }
}

template <typename T, int kLanes>
__global__ void __launch_bounds__(kThreads) merge_kernel(FarKeys in) {
  Lane lane;
  const bool writes = find_lane<kLanes>(in, lane);
  const int64_t width = in.heads * in.head_width;
  const auto at = [&](const void* rows, int64_t row, int64_t stride) {
    return static_cast<const T*>(rows) + row * stride + lane.channel;
  };
  T* out_row = static_cast<T*>(in.out) + lane.token * width + lane.channel;
  float* log_sum = in.log_sums + lane.head * in.tokens + lane.token;
  float q[kVector], sum[kVector], most = *log_sum, total = 1.0f;
  bool changed = false;
  load_share(at(in.q, lane.token, in.stride), lane.inside, q);
  load_share(out_row, lane.inside, sum);
  for_far_keys(in, lane, [&](int64_t row) {
    const int64_t known = row < 0 ? lane.token : row;
    float k[kVector], v[kVector];
    load_share(at(in.k, known, in.stride), lane.inside, k);
    load_share(at(in.v, known, in.stride), lane.inside, v);
    const float score = group_sum<kLanes>(product(q, k)) * in.scale;
    if (row < 0) return;
    changed = true;
    const float higher = fmaxf(most, score), kept = __expf(most - higher), p = __expf(score - higher);
    most = higher;
    total = total * kept + p;
#pragma unroll
    for (int i = 0; i < kVector; ++i) sum[i] = sum[i] * kept + p * v[i];
  });
  if (!changed || !writes) return;
#pragma unroll
  for (int i = 0; i < kVector; ++i) sum[i] /= total;
  if (lane.inside) store8(out_row, sum);
  if (threadIdx.x % kLanes == 0) *log_sum = most + __logf(total);
}

/// The gradient of the queries, and the deltas (d_out times out) that the keys' one takes.
template <typename T, int kLanes>
__global__ void __launch_bounds__(kThreads) queries_kernel(FarKeysBackward backward) {
  const FarKeys& in = backward.forward;
  Lane lane;
  const bool writes = find_lane<kLanes>(in, lane);
  const int64_t width = in.heads * in.head_width, place = lane.token * width + lane.channel;
  const auto at = [&](const void* rows, int64_t row) {
    return static_cast<const T*>(rows) + row * in.stride + lane.channel;
  };
  float q[kVector], d[kVector], out[kVector], d_q[kVector] = {};
  load_share(at(in.q, lane.token), lane.inside, q);
  load_share(static_cast<const T*>(backward.d_out) + place, lane.inside, d);
  load_share(static_cast<const T*>(in.out) + place, lane.inside, out);
  const float delta = group_sum<kLanes>(product(d, out));
  const float log_sum = in.log_sums[lane.head * in.tokens + lane.token];
  bool changed = false;
  for_far_keys(in, lane, [&](int64_t row) {
    const int64_t known = row < 0 ? lane.token : row;
    float k[kVector], v[kVector];
    load_share(at(in.k, known), lane.inside, k);
    load_share(at(in.v, known), lane.inside, v);
    const float score = group_sum<kLanes>(product(q, k)) * in.scale, d_p = group_sum<kLanes>(product(d, v));
    if (row < 0) return;
    changed = true;
    const float d_score = __expf(score - log_sum) * (d_p - delta) * in.scale;
#pragma unroll
    for (int i = 0; i < kVector; ++i) d_q[i] += d_score * k[i];
  });
  if (!writes) return;
  if (threadIdx.x % kLanes == 0) backward.deltas[lane.token * in.heads + lane.head] = delta;
  if (!changed || !lane.inside) return;
  T* to = static_cast<T*>(backward.d_q) + place;
  float near[kVector];
  load8(to, near);
#pragma unroll
  for (int i = 0; i < kVector; ++i) near[i] += d_q[i];
  store8(to, near);
}

/// One global key, some heads, one piece of the queries: partials = its gradients over them.
template <typename T, int kLanes>
__global__ void __launch_bounds__(kThreads)
    keys_kernel(FarKeysBackward backward, int64_t rows_of_piece, int64_t pieces) {
  const FarKeys& in = backward.forward;
  const int64_t global = blockIdx.y, piece = blockIdx.z;
  const int sequence = backward.sequence_of_global[global];
  const int64_t first = backward.offsets[sequence] + piece * rows_of_piece;
  const int64_t end = min(first + rows_of_piece, static_cast<int64_t>(backward.offsets[sequence + 1]));
  if (first >= end) return;
  const int64_t item = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) / kLanes;
  const int head = static_cast<int>(item < in.heads ? item : in.heads - 1);
  const int within = static_cast<int>(threadIdx.x) % kLanes * kVector;
  const bool inside = within < in.head_width;
  const int64_t width = in.heads * in.head_width, channel = head * in.head_width + within, key = in.rows[global];
  float k[kVector], v[kVector], d_k[kVector] = {}, d_v[kVector] = {};
  load_share(static_cast<const T*>(in.k) + key * in.stride + channel, inside, k);
  load_share(static_cast<const T*>(in.v) + key * in.stride + channel, inside, v);
#pragma unroll 4
  for (int64_t token = first; token < end; ++token) {
    float q[kVector], d[kVector];
    load_share(static_cast<const T*>(in.q) + token * in.stride + channel, inside, q);
    load_share(static_cast<const T*>(backward.d_out) + token * width + channel, inside, d);
    const float score = group_sum<kLanes>(product(q, k)) * in.scale, d_p = group_sum<kLanes>(product(d, v));
    const float p = is_far(in, token, key) ? __expf(score - in.log_sums[head * in.tokens + token]) : 0.0f;
    const float d_score = p * (d_p - backward.deltas[token * in.heads + head]) * in.scale;
#pragma unroll
    for (int i = 0; i < kVector; ++i) {
      d_k[i] += d_score * q[i];
      d_v[i] += p * d[i];
    }
  }
  if (item >= in.heads || !inside) return;
  float* to = backward.partials + ((global * pieces + piece) * 2) * width + channel;
  store8(to, d_k);
  store8(to + width, d_v);
}

/// d_k and d_v of a global token += the sums of its partials.
template <typename T>
__global__ void __launch_bounds__(kThreads)
    sum_kernel(FarKeysBackward backward, int64_t rows_of_piece, int64_t pieces) {
  const FarKeys& in = backward.forward;
  const int64_t width = in.heads * in.head_width, global = blockIdx.y;
  const int64_t channel = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) * kVector;
  if (channel >= width) return;
  const int sequence = backward.sequence_of_global[global];
  const int64_t length = backward.offsets[sequence + 1] - backward.offsets[sequence];
  float sum[kVector] = {};
  for (int64_t piece = 0; piece * rows_of_piece < length; ++piece) {
    float part[kVector];
    load8(backward.partials + ((global * pieces + piece) * 2 + blockIdx.z) * width + channel, part);
#pragma unroll
    for (int i = 0; i < kVector; ++i) sum[i] += part[i];
  }
  T* to = static_cast<T*>(blockIdx.z == 0 ? backward.d_k : backward.d_v) + in.rows[global] * width + channel;
  float near[kVector];
  load8(to, near);
#pragma unroll
  for (int i = 0; i < kVector; ++i) near[i] += sum[i];
  store8(to, near);
}

/// Calls `run` with a value of the type and the lanes of a group.
template <typename Run>
void with_group(const FarKeys& in, const Run& run) {
  with_type(in.type, [&](auto type) {
    const int64_t lanes = in.head_width / kVector;
    if (lanes <= 4) return run(type, std::integral_constant<int, 4>{});
    if (lanes <= 8) return run(type, std::integral_constant<int, 8>{});
    if (lanes <= 16) return run(type, std::integral_constant<int, 16>{});
    if (lanes <= 32) return run(type, std::integral_constant<int, 32>{});
    throw std::runtime_error("global keys want heads of at most 256, found " + std::to_string(in.head_width));
  });
}

unsigned blocks_of(int64_t items, int lanes) {
  return static_cast<unsigned>((items * lanes + kThreads - 1) / kThreads);
}

}  // namespace

int64_t far_key_pieces(int64_t longest, int64_t globals) {
  const int64_t rows = piece_rows(globals);
  return (longest + rows - 1) / rows;
}

void merge_far_keys(const FarKeys& keys, cudaStream_t stream) {
  with_group(keys, [&](auto type, auto lanes) {
    merge_kernel<decltype(type), decltype(lanes)::value>
        <<<blocks_of(keys.tokens * keys.heads, lanes), kThreads, 0, stream>>>(keys);
    check_launch("merge_far_keys");
  });
}

void far_keys_backward(const FarKeysBackward& backward, cudaStream_t stream) {
  const FarKeys& in = backward.forward;
  const int64_t pieces = far_key_pieces(backward.longest, in.globals), rows = piece_rows(in.globals);
  const auto count = [](int64_t value) { return static_cast<unsigned>(value); };
  with_group(in, [&](auto type, auto lanes) {
    using T = decltype(type);
    constexpr int kLanes = decltype(lanes)::value;
    queries_kernel<T, kLanes><<<blocks_of(in.tokens * in.heads, lanes), kThreads, 0, stream>>>(backward);
    check_launch("far_keys_backward of queries");
    const dim3 key_grid(blocks_of(in.heads, lanes), count(in.globals), count(pieces));
    keys_kernel<T, kLanes><<<key_grid, kThreads, 0, stream>>>(backward, rows, pieces);
    check_launch("far_keys_backward of keys");
    const dim3 sum_grid(blocks_of(in.heads * in.head_width / kVector, 1), count(in.globals), 2);
    sum_kernel<T><<<sum_grid, kThreads, 0, stream>>>(backward, rows, pieces);
    check_launch("far_keys_backward's sums");
  });
}

}  // namespace txtsum::ops::cuda
