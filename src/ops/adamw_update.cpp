#include "txtsum/ops/adamw_update.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "device_ops.h"
#include "txtsum/core/check.h"
#include "update_kernels.h"

namespace txtsum::ops {
namespace {

/// Elements that a thread works through at a time: all five arrays of a piece stay in its first-level cache.
constexpr int64_t kPiece = 2048;
/// Elements whose squares make one partial sum of the norm; fixed, so that the sum does not depend on threads.
constexpr int64_t kNormChunk = 65536;

/// A narrow type's bits as floats, and back.
struct NarrowType {
  void (*widen)(const uint16_t* bits, float* floats, int64_t count) = nullptr;
  void (*round)(const float* floats, uint16_t* bits, int64_t count) = nullptr;
};

/// None for fp32.
NarrowType narrow_type(at::ScalarType type) {
  switch (type) {
    case at::kFloat:
      return {};
    case at::kBFloat16:
      return {widen_stretch, round_stretch};
    case at::kHalf:
      return {widen_half_stretch, round_half_stretch};
    default:
      TXTSUM_CHECK(false, "fp32, bf16 or fp16, found ", c10::toString(type));
  }
  return {};
}

void check_arena(const at::Tensor& tensor, int64_t numel, const char* what) {
  TXTSUM_CHECK(tensor.dim() == 1 && tensor.is_contiguous() && tensor.is_cpu() && tensor.numel() >= numel, what,
               " must be 1-D, contiguous, on the CPU, of at least ", numel, " elements");
}

/// Gradients of any type, read as floats.
class GradientReader {
 public:
  GradientReader(const at::Tensor& gradients, int64_t numel)
      : widen_(narrow_type(gradients.scalar_type()).widen), values_(gradients.const_data_ptr()) {
    check_arena(gradients, numel, "gradients");
  }
  /// `count` floats from element `begin` on, which lie in `buffer` where they had to be widened.
  const float* read(int64_t begin, int64_t count, float* buffer) const {
    if (widen_ == nullptr) return static_cast<const float*>(values_) + begin;
    widen_(static_cast<const uint16_t*>(values_) + begin, buffer, count);
    return buffer;
  }

 private:
  decltype(NarrowType::widen) widen_;
  const void* values_;
};

struct AdamWPointers {
  float *masters, *first, *second;
  GradientReader gradients;
  uint16_t* working;
  decltype(NarrowType::round) round_working;
};

AdamWPointers pointers_of(const AdamWTensors& tensors, int64_t numel) {
  check_arena(tensors.masters, numel, "masters");
  check_arena(tensors.first_moment, numel, "first_moment");
  check_arena(tensors.second_moment, numel, "second_moment");
  AdamWPointers p{tensors.masters.mutable_data_ptr<float>(),
                  tensors.first_moment.mutable_data_ptr<float>(),
                  tensors.second_moment.mutable_data_ptr<float>(),
                  GradientReader(tensors.gradients, numel),
                  nullptr,
                  nullptr};
  if (tensors.working.defined()) {
    check_arena(tensors.working, numel, "working");
    p.round_working = narrow_type(tensors.working.scalar_type()).round;
    TXTSUM_CHECK(p.round_working != nullptr, "fp32 weights are their own masters");
    p.working = static_cast<uint16_t*>(tensors.working.mutable_data_ptr());
  }
  return p;
}

void update_elements(const AdamWPointers& p, int64_t begin, int64_t end, const AdamWFactors& factors) {
  float widened[kPiece];
  for (int64_t at = begin; at < end; at += kPiece) {
    const int64_t count = std::min(kPiece, end - at);
    const float* gradients = p.gradients.read(at, count, widened);
    adamw_stretch(p.masters + at, gradients, p.first + at, p.second + at, count, factors);
    if (p.working != nullptr) p.round_working(p.masters + at, p.working + at, count);
  }
}

/// Calls `body(begin, end, span)` for the parts of the learning spans that lie in [begin, end).
template <typename Body>
void for_each_part(const std::vector<UpdateSpan>& spans, int64_t begin, int64_t end, const Body& body) {
  auto span = std::upper_bound(spans.begin(), spans.end(), begin,
                               [](int64_t value, const UpdateSpan& candidate) { return value < candidate.end; });
  for (; span != spans.end() && span->begin < end; ++span) {
    if (!span->frozen) body(std::max(begin, span->begin), std::min(end, span->end), *span);
  }
}

}  // namespace

AdamWFactors adamw_factors(const AdamWScalars& s, bool decay) {
  const double correction1 = 1.0 - std::pow(s.beta1, static_cast<double>(s.update));
  const double correction2 = 1.0 - std::pow(s.beta2, static_cast<double>(s.update));
  AdamWFactors f;
  f.gradient_factor = static_cast<float>(s.gradient_factor);
  f.decay_factor = static_cast<float>(decay ? 1.0 - s.learning_rate * s.weight_decay : 1.0);
  f.one_minus_beta1 = static_cast<float>(1.0 - s.beta1);
  f.beta2 = static_cast<float>(s.beta2);
  f.one_minus_beta2 = static_cast<float>(1.0 - s.beta2);
  f.step_size = static_cast<float>(s.learning_rate / correction1);
  f.inverse_root = static_cast<float>(1.0 / std::sqrt(correction2));
  f.epsilon = static_cast<float>(s.epsilon);
  return f;
}

void adamw_update(const AdamWTensors& tensors, const std::vector<UpdateSpan>& spans, const AdamWScalars& scalars) {
  if (spans.empty()) return;
  if constexpr (kWithCuda) {
    if (tensors.masters.is_cuda()) return cuda::adamw_update(tensors, spans, scalars);
  }
  const AdamWPointers pointers = pointers_of(tensors, spans.back().end);
  const AdamWFactors with_decay = adamw_factors(scalars, true);
  const AdamWFactors without_decay = adamw_factors(scalars, false);
  at::parallel_for(spans.front().begin, spans.back().end, 8 * kPiece, [&](int64_t begin, int64_t end) {
    for_each_part(spans, begin, end, [&](int64_t from, int64_t to, const UpdateSpan& span) {
      update_elements(pointers, from, to, span.decay ? with_decay : without_decay);
    });
  });
}

double gradient_square_sum(const at::Tensor& gradients, const std::vector<UpdateSpan>& spans) {
  if (spans.empty()) return 0.0;
  if constexpr (kWithCuda) {
    if (gradients.is_cuda()) return cuda::gradient_square_sum(gradients, spans);
  }
  const int64_t numel = spans.back().end;
  const GradientReader reader(gradients, numel);
  const int64_t chunks = (numel + kNormChunk - 1) / kNormChunk;
  std::vector<double> partials(static_cast<size_t>(chunks), 0.0);
  at::parallel_for(0, chunks, 1, [&](int64_t first_chunk, int64_t last_chunk) {
    float widened[kPiece];
    for (int64_t chunk = first_chunk; chunk < last_chunk; ++chunk) {
      double& partial = partials[static_cast<size_t>(chunk)];
      const int64_t chunk_end = std::min(numel, (chunk + 1) * kNormChunk);
      for_each_part(spans, chunk * kNormChunk, chunk_end, [&](int64_t from, int64_t to, const UpdateSpan&) {
        for (int64_t at = from; at < to; at += kPiece) {
          const int64_t count = std::min(kPiece, to - at);
          partial += square_sum_stretch(reader.read(at, count, widened), count);
        }
      });
    }
  });
  double sum = 0.0;
  for (const double partial : partials) sum += partial;
  return sum;
}

double gradient_norm(const at::Tensor& gradients, const std::vector<UpdateSpan>& spans) {
  return std::sqrt(gradient_square_sum(gradients, spans));
}

}  // namespace txtsum::ops
