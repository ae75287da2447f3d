#include "txtsum/ops/device_update.h"

#include <ATen/ATen.h>

#include <cmath>
#include <cstddef>
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

AdamWNumbers numbers_of(const AdamWScalars& scalars) {
  const AdamWFactors factors = adamw_factors(scalars, /*decay=*/true);
  return {factors.gradient_factor, factors.decay_factor, factors.one_minus_beta1, factors.beta2,
          factors.one_minus_beta2, factors.step_size,    factors.inverse_root,    factors.epsilon};
}

void update(const AdamWTensors& tensors, const DeviceSpans& spans, const AdamWScalars& scalars,
            const UpdateFactors* device_factors) {
  TXTSUM_CHECK(tensors.masters.numel() >= spans.numel, "spans end at ", spans.numel);
  AdamW args;
  args.masters = tensors.masters.mutable_data_ptr<float>();
  args.first = tensors.first_moment.mutable_data_ptr<float>();
  args.second = tensors.second_moment.mutable_data_ptr<float>();
  args.gradients = tensors.gradients.const_data_ptr();
  args.gradient_type = type_of(tensors.gradients);
  if (tensors.working.defined()) {
    args.working = tensors.working.mutable_data_ptr();
    args.working_type = type_of(tensors.working);
    TXTSUM_CHECK(args.working_type != Type::kFloat, "fp32 weights are their own masters");
  }
  args.spans = spans.table();
  args.span_count = spans.count;
  args.numel = spans.numel;
  args.numbers = numbers_of(scalars);
  args.factors = device_factors;
  adamw(args, stream());
}

}  // namespace

void adamw_update(const AdamWTensors& tensors, const std::vector<UpdateSpan>& spans, const AdamWScalars& scalars) {
  update(tensors, DeviceSpans(spans, tensors.masters.device()), scalars, nullptr);
}

double gradient_square_sum(const at::Tensor& gradients, const std::vector<UpdateSpan>& spans) {
  const DeviceSpans table(spans, gradients.device());
  sum_squares(gradients, table);
  return table.sums.sum().item<double>();
}

}  // namespace cuda

namespace {

constexpr double kSecondsPerMillisecond = 1e-3;

/// One update on its way.
struct Started {
  at::Tensor results;  // bytes of cuda::UpdateResults, pinned
  at::Tensor factors;  // bytes of cuda::UpdateFactors, pinned; of measure()
  std::shared_ptr<at::cuda::CUDAEvent> begin, end;
  std::shared_ptr<at::cuda::CUDAEvent> resumed;  // of measure()
  bool whole = true;                             // chunks of the norm are those of the arena
};

std::shared_ptr<at::cuda::CUDAEvent> recorded_event() {
  auto event = std::make_shared<at::cuda::CUDAEvent>(cudaEventDefault);
  event->record();
  return event;
}

/// A copy in pinned memory, which is there when the current stream comes to it.
at::Tensor pinned_copy(const at::Tensor& bytes) {
  const at::Tensor copy = at::empty(bytes.sizes(), at::TensorOptions().dtype(at::kByte).pinned_memory(true));
  return copy.copy_(bytes, /*non_blocking=*/true);
}

/// A place on the GPU for one value of a plain type.
template <typename T>
at::Tensor place_for() {
  return at::zeros({static_cast<int64_t>(sizeof(T))}, at::TensorOptions().dtype(at::kByte).device(at::kCUDA));
}

template <typename T>
T* value_in(const at::Tensor& place) {
  return static_cast<T*>(place.mutable_data_ptr());
}

}  // namespace

struct DeviceUpdate::Impl {
  /// Norm and clipping: what the optimizer takes comes into `factors`, what is read back into `results`.
  void find_norm(const at::Tensor& gradients, const AdamWScalars& scalars, const at::Tensor& loss_sums_2,
                 double clip_norm, double clip_epsilon, const OverRanks* ranks);
  /// Has what is read back of the update copied, and marks its end.
  void end_update(bool whole);

  std::vector<UpdateSpan> span_list;
  std::unique_ptr<cuda::DeviceSpans> spans, norm_spans;
  at::Tensor results = place_for<cuda::UpdateResults>(), factors = place_for<cuda::UpdateFactors>();
  at::Tensor loss_scale, loss_factor_1;  // undefined where loss is not scaled
  at::Tensor measured_factors;           // on their way to the host
  std::shared_ptr<at::cuda::CUDAEvent> begin, last_end;
  std::deque<Started> started;
};

DeviceUpdate::DeviceUpdate(const std::vector<UpdateSpan>& spans, bool scales_loss) : impl_(std::make_unique<Impl>()) {
  impl_->span_list = spans;
  if (!scales_loss) return;
  impl_->loss_scale = place_for<cuda::LossScale>();
  impl_->loss_factor_1 = at::zeros({1}, impl_->loss_scale.options().dtype(at::kFloat));
  restore({});
}

void DeviceUpdate::begin(double per_token) {
  // What lies between was something else (validation, a save), no wait.
  if (impl_->started.empty()) impl_->last_end.reset();
  impl_->begin = recorded_event();
  if (!impl_->loss_scale.defined()) return;
  static_assert(offsetof(cuda::LossScale, scale) == 0);
  at::Tensor factor = impl_->loss_factor_1;
  at::mul_out(factor, impl_->loss_scale.narrow(0, 0, sizeof(float)).view(at::kFloat),
              at::scalar_tensor(per_token, at::kFloat));
}

const at::Tensor& DeviceUpdate::loss_factor() const { return impl_->loss_factor_1; }

std::optional<LossScaleState> DeviceUpdate::loss_scale() const {
  if (!impl_->loss_scale.defined()) return std::nullopt;
  const at::Tensor here = impl_->loss_scale.cpu();
  const auto& scale = *value_in<cuda::LossScale>(here);
  return LossScaleState{scale.scale, scale.good_updates, scale.left_out};
}

void DeviceUpdate::restore(const LossScaleState& state) {
  TXTSUM_CHECK(impl_->loss_scale.defined(), "this update scales no loss");
  cuda::LossScale scale;
  scale.scale = static_cast<float>(state.scale);
  scale.good_updates = static_cast<int32_t>(state.good_updates);
  scale.left_out = static_cast<int32_t>(state.left_out);
  impl_->loss_scale.copy_(at::from_blob(&scale, {static_cast<int64_t>(sizeof(scale))}, at::kByte));
}

void DeviceUpdate::Impl::find_norm(const at::Tensor& gradients, const AdamWScalars& scalars,
                                   const at::Tensor& loss_sums_2, double clip_norm, double clip_epsilon,
                                   const OverRanks* ranks) {
  TXTSUM_CHECK(begin != nullptr, "begin() comes first");
  if (!spans) spans = std::make_unique<cuda::DeviceSpans>(span_list, gradients.device());
  cuda::FinishNorm norm;
  at::Tensor totals;
  if (ranks == nullptr) {
    cuda::sum_squares(gradients, *spans);
    norm.square_sums = spans->sums.const_data_ptr<double>();
    norm.chunks = spans->sums.numel();
    norm.loss_sums = loss_sums_2.const_data_ptr<double>();
  } else {
    if (!norm_spans) norm_spans = std::make_unique<cuda::DeviceSpans>(*ranks->spans, gradients.device());
    cuda::sum_squares(ranks->gradients, *norm_spans);
    totals = ranks->sum(at::cat({norm_spans->sums.sum().view(1), loss_sums_2}));
    norm.square_sums = totals.const_data_ptr<double>();
    norm.chunks = 1;
    norm.loss_sums = norm.square_sums + 1;
  }
  norm.per_token = scalars.gradient_factor;
  norm.clip_norm = clip_norm;
  norm.clip_epsilon = clip_epsilon;
  norm.numbers = cuda::numbers_of(scalars);
  norm.learning_rate = scalars.learning_rate;
  norm.beta1 = scalars.beta1;
  norm.beta2 = scalars.beta2;
  norm.update = scalars.update;
  if (loss_scale.defined()) norm.loss_scale = value_in<cuda::LossScale>(loss_scale);
  norm.results = value_in<cuda::UpdateResults>(results);
  norm.factors = value_in<cuda::UpdateFactors>(factors);
  cuda::finish_norm(norm, cuda::stream());
}

void DeviceUpdate::Impl::end_update(bool whole) {
  Started one;
  one.results = pinned_copy(results);
  one.factors = std::move(measured_factors);
  one.whole = whole;
  one.begin = std::move(begin);
  one.end = recorded_event();
  started.push_back(std::move(one));
}

void DeviceUpdate::start(const AdamWTensors& tensors, const AdamWScalars& scalars, const at::Tensor& loss_sums_2,
                         double clip_norm, double clip_epsilon, const OverRanks* ranks) {
  Impl& it = *impl_;
  it.find_norm(tensors.gradients, scalars, loss_sums_2, clip_norm, clip_epsilon, ranks);
  cuda::update(tensors, *it.spans, scalars, value_in<cuda::UpdateFactors>(it.factors));
  it.end_update(ranks == nullptr);
}

void DeviceUpdate::measure(const at::Tensor& gradients, const AdamWScalars& scalars, const at::Tensor& loss_sums_2,
                           double clip_norm, double clip_epsilon, const OverRanks* ranks) {
  Impl& it = *impl_;
  it.find_norm(gradients, scalars, loss_sums_2, clip_norm, clip_epsilon, ranks);
  it.measured_factors = pinned_copy(it.factors);
  it.end_update(ranks == nullptr);
}

std::optional<AdamWScalars> DeviceUpdate::measured(const AdamWScalars& scalars) const {
  const Impl& it = *impl_;
  TXTSUM_CHECK(!it.started.empty() && it.started.back().factors.defined(), "measure() comes first");
  const Started& one = it.started.back();
  one.end->synchronize();
  const float factor = value_in<cuda::UpdateFactors>(one.factors)->gradient_factor;
  if (std::isnan(factor)) return std::nullopt;
  AdamWScalars numbers = scalars;
  numbers.gradient_factor = factor;
  if (it.loss_scale.defined()) numbers.update -= value_in<cuda::UpdateResults>(one.results)->after.left_out;
  return numbers;
}

void DeviceUpdate::resume() {
  TXTSUM_CHECK(!impl_->started.empty(), "measure() comes first");
  impl_->started.back().resumed = recorded_event();
}

DeviceUpdateNumbers DeviceUpdate::finish() {
  Impl& it = *impl_;
  TXTSUM_CHECK(!it.started.empty(), "no update was started");
  const Started one = std::move(it.started.front());
  it.started.pop_front();
  one.end->synchronize();
  const cuda::UpdateResults& found = *value_in<cuda::UpdateResults>(one.results);
  DeviceUpdateNumbers result;
  result.loss = found.loss;
  result.nll = found.nll;
  result.gradient_norm = found.gradient_norm;
  result.loss_scale = found.loss_scale;
  result.next_loss_scale = found.after.scale;
  if (found.bad_chunk >= 0 && one.whole) result.bad_element = found.bad_chunk * cuda::square_sum_chunk();
  result.seconds = one.begin->elapsed_time(*one.end) * kSecondsPerMillisecond;
  if (it.last_end) result.waited_seconds = it.last_end->elapsed_time(*one.begin) * kSecondsPerMillisecond;
  it.last_end = one.end;
  if (one.resumed) {
    one.resumed->synchronize();
    result.waited_seconds += one.end->elapsed_time(*one.resumed) * kSecondsPerMillisecond;
  }
  return result;
}

#else

struct DeviceUpdate::Impl {};

DeviceUpdate::DeviceUpdate(const std::vector<UpdateSpan>&, bool) {
  TXTSUM_CHECK(false, "a binary without code for GPUs");
}

void DeviceUpdate::begin(double) {}

const at::Tensor& DeviceUpdate::loss_factor() const {
  static const at::Tensor none;
  return none;
}

std::optional<LossScaleState> DeviceUpdate::loss_scale() const { return std::nullopt; }

void DeviceUpdate::restore(const LossScaleState&) {}

void DeviceUpdate::start(const AdamWTensors&, const AdamWScalars&, const at::Tensor&, double, double,
                         const OverRanks*) {}

void DeviceUpdate::measure(const at::Tensor&, const AdamWScalars&, const at::Tensor&, double, double,
                           const OverRanks*) {}

std::optional<AdamWScalars> DeviceUpdate::measured(const AdamWScalars&) const { return std::nullopt; }

void DeviceUpdate::resume() {}

DeviceUpdateNumbers DeviceUpdate::finish() { return {}; }

#endif

DeviceUpdate::~DeviceUpdate() = default;

}  // namespace txtsum::ops
