#include <stdexcept>

#include "device_function.cuh"
#include "device_launch.cuh"
#include "gate_kernels.h"

namespace txtsum::ops::cuda {
namespace {

constexpr int kThreads = 256;

/// Eight elements of the gate a thread.
struct GatePlace {
  int64_t row, channel, out, in;  // `in`: of the activated half; the other one lies `width` behind
  bool inside;

  __device__ __forceinline__ explicit GatePlace(const Gate& gate) {
    out = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) * kVector;
    inside = out < gate.rows * gate.width;
    row = out / gate.width;
    channel = out - row * gate.width;
    in = row * 2 * gate.width + channel;
  }
};

__device__ __forceinline__ void drop_gate(const Dropout& site, const GatePlace& place, float (&values)[kVector]) {
  if (site.threshold == 0) return;
  drop8(with_keys(site), static_cast<uint32_t>(place.channel), static_cast<uint32_t>(site.positions[place.row]),
        static_cast<uint32_t>(site.examples[place.row]), values);
}

template <typename T, Function kFunction>
__global__ void __launch_bounds__(kThreads) gate_kernel(Gate in) {
  const GatePlace place(in);
  if (!place.inside) return;
  float a[kVector], b[kVector];
  load8(static_cast<const T*>(in.x) + place.in, a);
  load8(static_cast<const T*>(in.x) + place.in + in.width, b);
#pragma unroll
  for (int i = 0; i < kVector; ++i) a[i] = value_of<T, kFunction>(a[i]) * b[i];
  drop_gate(in.dropout, place, a);
  store8(static_cast<T*>(in.gated) + place.out, a);
}

template <typename T, Function kFunction>
__global__ void __launch_bounds__(kThreads) gate_backward_kernel(GateBackward in) {
  const Gate& forward = in.forward;
  const GatePlace place(forward);
  if (!place.inside) return;
  float a[kVector], b[kVector], d[kVector], gated[kVector];
  load8(static_cast<const T*>(forward.x) + place.in, a);
  load8(static_cast<const T*>(forward.x) + place.in + forward.width, b);
  load8(static_cast<const T*>(in.d_gated) + place.out, d);
  drop_gate(forward.dropout, place, d);
#pragma unroll
  for (int i = 0; i < kVector; ++i) {
    const float value = value_of<T, kFunction>(a[i]);
    gated[i] = value * b[i];
    a[i] = d[i] * b[i] * slope_of<T, kFunction>(a[i]);
    b[i] = d[i] * value;
  }
  drop_gate(forward.dropout, place, gated);
  store8(static_cast<T*>(in.d_x) + place.in, a);
  store8(static_cast<T*>(in.d_x) + place.in + forward.width, b);
  store8(static_cast<T*>(forward.gated) + place.out, gated);
}

unsigned blocks_of(const Gate& gate) {
  if (gate.width % kVector != 0) throw std::runtime_error("on a GPU widths must be multiples of 8");
  const int64_t elements = gate.rows * gate.width;
  return static_cast<unsigned>((elements + kThreads * kVector - 1) / (kThreads * kVector));
}

template <typename T>
void launch(const Gate& gate, cudaStream_t stream) {
  const unsigned blocks = blocks_of(gate);
  with_function(gate.function,
                [&](auto function) { gate_kernel<T, function()><<<blocks, kThreads, 0, stream>>>(gate); });
}

template <typename T>
void launch(const GateBackward& backward, cudaStream_t stream) {
  const unsigned blocks = blocks_of(backward.forward);
  with_function(backward.forward.function,
                [&](auto function) { gate_backward_kernel<T, function()><<<blocks, kThreads, 0, stream>>>(backward); });
}

}  // namespace

void gate(const Gate& forward, cudaStream_t stream) {
  if (forward.rows == 0) return;
  with_type(forward.type, [&](auto type) { launch<decltype(type)>(forward, stream); });
  check_launch("gate");
}

void gate_backward(const GateBackward& backward, cudaStream_t stream) {
  if (backward.forward.rows == 0) return;
  with_type(backward.forward.type, [&](auto type) { launch<decltype(type)>(backward, stream); });
  check_launch("gate_backward");
}

}  // namespace txtsum::ops::cuda
