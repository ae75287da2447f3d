#include "txtsum/ops/device_update.h"

#include <ATen/ATen.h>

#include <cmath>
#include <deque>

#include "device_ops.h"
#include "txtsum/core/check.h"
#include "update_kernels.h"

#ifdef TXTSUM_WITH_CUDA
#include <ATen/cuda/CUDAEvent.h>

#include "device_args.h"
#endif

namespace txtsum::ops {

#ifdef TXTSUM_WITH_CUDA

namespace cuda {
namespace {

/// The update table on the GPU.
struct DeviceSpans {
  explicit DeviceSpans(const std::vector<UpdateSpan>& spans, const at::Device& device) {
    int64_t end = 0;
    std::vector<Span> rows;
    for (const UpdateSpan& span : spans) {
      TXTSUM_CHECK(span.begin == end, "spans with a hole before ", span.begin);
      end = span.end;
      rows.push_back({span.begin, span.end, span.decay, span.frozen});
    }
    numel = end;
    count = static_cast<int32_t>(rows.size());
    bytes = at::from_blob(rows.data(), {static_cast<int64_t>(rows.size() * sizeof(Span))}, at::kByte).to(device);
    const int64_t chunk = square_sum_chunk();
    sums = at::empty({(numel + chunk - 1) / chunk}, at::TensorOptions().dtype(at::kDouble).device(device));
  }
  const Span* table() const { return static_cast<const Span*>(bytes.const_data_ptr()); }

  at::Tensor bytes;
  at::Tensor sums;  // fp64, one a chunk of the gradients
  int64_t numel = 0;
  int32_t count = 0;
};

void sum_squares(const at::Tensor& gradients, const DeviceSpans& spans) {
  TXTSUM_CHECK(gradients.numel() >= spans.numel, "spans end at ", spans.numel);
  square_sums(type_of(gradients), gradients.const_data_ptr(), spans.numel, spans.table(), spans.count,
              spans.sums.mutable_data_ptr<double>(), stream());
}

void update(const AdamWTensors& tensors, const DeviceSpans& spans, const AdamWScalars& scalars,
            const float* gradient_factor) {
  TXTSUM_CHECK(tensors.masters.numel() >= spans.numel, "spans end at ", spans.numel);
  AdamW args;
  args.masters = tensors.masters.mutable_data_ptr<float>();
  args.first = tensors.first_moment.mutable_data_ptr<float>();
  args.second = tensors.second_moment.mutable_data_ptr<float>();
  args.gradients = tensors.gradients.const_data_ptr();
  args.gradient_type = type_of(tensors.gradients);
  args.working = tensors.working.defined() ? tensors.working.mutable_data_ptr() : nullptr;
  args.spans = spans.table();
  args.span_count = spans.count;
  args.numel = spans.numel;
  const AdamWFactors factors = adamw_factors(scalars, /*decay=*/true);
  args.numbers = {factors.gradient_factor, factors.decay_factor, factors.one_minus_beta1, factors.beta2,
                  factors.one_minus_beta2, factors.step_size,    factors.inverse_root,    factors.epsilon};
  args.gradient_factor = gradient_factor;
  adamw(args, stream());
}

}  // namespace

void adamw_update(const AdamWTensors& tensors, const std::vector<UpdateSpan>& spans, const AdamWScalars& scalars) {
  update(tensors, DeviceSpans(spans, tensors.masters.device()), scalars, nullptr);
}

double gradient_norm(const at::Tensor& gradients, const std::vector<UpdateSpan>& spans) {
  const DeviceSpans table(spans, gradients.device());
  sum_squares(gradients, table);
  return std::sqrt(table.sums.sum().item<double>());
}

}  // namespace cuda

namespace {

constexpr double kSecondsPerMillisecond = 1e-3;

/// One update on its way.
struct Started {
  at::Tensor numbers_3;  // fp64, pinned
  std::shared_ptr<at::cuda::CUDAEvent> begin, end;
};

std::shared_ptr<at::cuda::CUDAEvent> recorded_event() {
  auto event = std::make_shared<at::cuda::CUDAEvent>(cudaEventDefault);
  event->record();
  return event;
}

}  // namespace

struct DeviceUpdate::Impl {
  std::vector<UpdateSpan> span_list;
  std::unique_ptr<cuda::DeviceSpans> spans;
  at::Tensor results_3, factor;
  std::shared_ptr<at::cuda::CUDAEvent> begin, last_end;
  std::deque<Started> started;
};

DeviceUpdate::DeviceUpdate(const std::vector<UpdateSpan>& spans) : impl_(std::make_unique<Impl>()) {
  impl_->span_list = spans;
}

void DeviceUpdate::begin() {
  // What lies between was something else (validation, a save), no wait.
  if (impl_->started.empty()) impl_->last_end.reset();
  impl_->begin = recorded_event();
}

void DeviceUpdate::start(const AdamWTensors& tensors, const AdamWScalars& scalars, const at::Tensor& loss_sums_2,
                         double clip_norm, double clip_epsilon) {
  Impl& it = *impl_;
  TXTSUM_CHECK(it.begin != nullptr, "begin() comes first");
  if (!it.spans) {
    const at::TensorOptions on_gpu = tensors.masters.options();
    it.spans = std::make_unique<cuda::DeviceSpans>(it.span_list, tensors.masters.device());
    it.results_3 = at::empty({3}, on_gpu.dtype(at::kDouble));
    it.factor = at::empty({1}, on_gpu.dtype(at::kFloat));
  }
  cuda::sum_squares(tensors.gradients, *it.spans);
  cuda::FinishNorm norm;
  norm.square_sums = it.spans->sums.const_data_ptr<double>();
  norm.chunks = it.spans->sums.numel();
  norm.loss_sums = loss_sums_2.const_data_ptr<double>();
  norm.per_token = scalars.gradient_factor;
  norm.clip_norm = clip_norm;
  norm.clip_epsilon = clip_epsilon;
  norm.results = it.results_3.mutable_data_ptr<double>();
  norm.factor = it.factor.mutable_data_ptr<float>();
  cuda::finish_norm(norm, cuda::stream());
  cuda::update(tensors, *it.spans, scalars, norm.factor);
  Started one;
  one.numbers_3 = at::empty({3}, at::TensorOptions().dtype(at::kDouble).pinned_memory(true));
  one.numbers_3.copy_(it.results_3, /*non_blocking=*/true);
  one.begin = std::move(it.begin);
  one.end = recorded_event();
  it.started.push_back(std::move(one));
}

DeviceUpdateNumbers DeviceUpdate::finish() {
  Impl& it = *impl_;
  TXTSUM_CHECK(!it.started.empty(), "no update was started");
  const Started one = std::move(it.started.front());
  it.started.pop_front();
  one.end->synchronize();
  const double* numbers = one.numbers_3.const_data_ptr<double>();
  DeviceUpdateNumbers result{numbers[0], numbers[1], numbers[2], 0.0, 0.0};
  result.seconds = one.begin->elapsed_time(*one.end) * kSecondsPerMillisecond;
  if (it.last_end) result.waited_seconds = it.last_end->elapsed_time(*one.begin) * kSecondsPerMillisecond;
  it.last_end = one.end;
  return result;
}

#else

struct DeviceUpdate::Impl {};

DeviceUpdate::DeviceUpdate(const std::vector<UpdateSpan>&) { TXTSUM_CHECK(false, "a binary without code for GPUs"); }

void DeviceUpdate::begin() {}

void DeviceUpdate::start(const AdamWTensors&, const AdamWScalars&, const at::Tensor&, double, double) {}

DeviceUpdateNumbers DeviceUpdate::finish() { return {}; }

#endif

DeviceUpdate::~DeviceUpdate() = default;

}  // namespace txtsum::ops
