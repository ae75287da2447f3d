#include "txtsum/ops/offloaded_update.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <exception>
#include <optional>

#include "txtsum/core/check.h"
#include "txtsum/core/log.h"
#include "txtsum/ops/device_copy.h"
#include "txtsum/ops/host_memory.h"

namespace txtsum::ops {
namespace {

/// Chunks whose gradients may be on their way or there; and whose weights may be on their way back.
constexpr size_t kInFlight = 3;

/// A stretch of the arenas.
struct Chunk {
  int64_t begin = 0, numel = 0;
  std::vector<UpdateSpan> spans;                    ///< Those that learn, from the chunk's first element on.
  std::vector<std::pair<int64_t, int64_t>> learns;  ///< The same, neighbours as one: [begin, end).
};

/// From the end of the arenas on.
std::vector<Chunk> chunks_of(const std::vector<UpdateSpan>& spans) {
  constexpr int64_t kChunk = OffloadedUpdate::kChunk;
  std::vector<Chunk> chunks;
  for (const UpdateSpan& span : spans) {
    if (span.frozen) continue;
    for (int64_t begin = span.begin; begin < span.end;) {
      const int64_t first = begin / kChunk * kChunk, end = std::min(span.end, first + kChunk);
      if (chunks.empty() || chunks.back().begin != first) chunks.push_back({first, 0, {}, {}});
      Chunk& chunk = chunks.back();
      const int64_t from = begin - first, to = end - first;
      chunk.numel = to;
      chunk.spans.push_back({from, to, span.decay, false});
      if (!chunk.learns.empty() && chunk.learns.back().second == from) {
        chunk.learns.back().second = to;
      } else {
        chunk.learns.emplace_back(from, to);
      }
      begin = end;
    }
  }
  std::reverse(chunks.begin(), chunks.end());
  return chunks;
}

}  // namespace

struct OffloadedUpdate::Impl {
  /// Where a chunk's gradients arrive and its weights leave from.
  struct Stage {
    at::Tensor gradients, weights;  // weights: undefined where the masters are copied
    CopyMark arrived;
    std::optional<CopyMark> left;
  };

  Impl(const std::vector<UpdateSpan>& spans, const c10::Device& device)
      : chunks(chunks_of(spans)), downward(device), upward(device) {}

  /// Has the stream downward wait for the marks of the chunk's gradients, `passed` of which it has waited for.
  void await(const Chunk& chunk, const std::vector<GradientMark>& marks, size_t& passed) {
    for (; passed < marks.size() && (passed == 0 || marks[passed - 1].begin > chunk.begin); ++passed) {
      downward.run([&] { marks[passed].mark.block_current(); });
    }
  }

  void fetch(const at::Tensor& gradients, size_t index, const std::vector<GradientMark>& marks, size_t& passed) {
    if (index >= chunks.size()) return;
    const Chunk& chunk = chunks[index];
    Stage& stage = stages[index % kInFlight];
    await(chunk, marks, passed);
    downward.copy(gradients.narrow(0, chunk.begin, chunk.numel), stage.gradients.narrow(0, 0, chunk.numel));
    stage.arrived = downward.mark();
  }

  void send(const Chunk& chunk, const at::Tensor& from, const at::Tensor& weights, Stage& stage) {
    for (const auto& [begin, end] : chunk.learns) {
      upward.copy(from.narrow(0, begin, end - begin), weights.narrow(0, chunk.begin + begin, end - begin));
    }
    stage.left = upward.mark();
  }

  std::vector<Chunk> chunks;
  CopyStream downward, upward;
  std::array<Stage, kInFlight> stages;
};

OffloadedUpdate::OffloadedUpdate(const std::vector<UpdateSpan>& spans, const c10::Device& device,
                                 at::ScalarType gradient_type, at::ScalarType working_type)
    : impl_(std::make_unique<Impl>(spans, device)) {
  int64_t longest = 0;
  for (const Chunk& chunk : impl_->chunks) longest = std::max(longest, chunk.numel);
  for (Impl::Stage& stage : impl_->stages) {
    stage.gradients = host_zeros(longest, gradient_type, device);
    if (working_type != at::kFloat) stage.weights = host_zeros(longest, working_type, device);
  }
}

OffloadedUpdate::~OffloadedUpdate() {
  try {
    impl_->upward.mark().wait();    // The last weights are read from staging that goes now,
    impl_->downward.mark().wait();  // and gradients come there of which an update that was given up had no use.
  } catch (const std::exception& error) {
    core::log_warning(error.what());
  }
}

void OffloadedUpdate::run(const AdamWTensors& tensors, const at::Tensor& device_weights, const AdamWScalars& scalars,
                          const std::vector<GradientMark>& marks) {
  Impl& it = *impl_;
  TXTSUM_CHECK(!(device_weights.defined() && tensors.working.defined()), "the new weights go to one place");
  TXTSUM_CHECK(marks.empty() || marks.back().begin == 0, "gradients without a mark, up to ", marks.back().begin);
  // Copies upward follow too: each of them is asked for when a copy downward is over.
  if (marks.empty()) it.downward.follow_current();
  size_t passed = 0;
  for (size_t ahead = 0; ahead < kInFlight; ++ahead) it.fetch(tensors.gradients, ahead, marks, passed);
  for (size_t i = 0; i < it.chunks.size(); ++i) {
    const Chunk& chunk = it.chunks[i];
    Impl::Stage& stage = it.stages[i % kInFlight];
    const auto part = [&](const at::Tensor& whole) { return whole.narrow(0, chunk.begin, chunk.numel); };
    AdamWTensors parts;
    parts.masters = part(tensors.masters);
    parts.first_moment = part(tensors.first_moment);
    parts.second_moment = part(tensors.second_moment);
    parts.gradients = stage.gradients;
    if (tensors.working.defined()) parts.working = part(tensors.working);
    const bool rounds = device_weights.defined() && device_weights.scalar_type() != at::kFloat;
    if (rounds) parts.working = stage.weights;
    stage.arrived.wait();
    if (i == 0 && !marks.empty() && !std::isfinite(gradient_square_sum(stage.gradients, chunk.spans))) break;
    if (stage.left) stage.left->wait();
    adamw_update(parts, chunk.spans, scalars);
    if (device_weights.defined()) it.send(chunk, rounds ? stage.weights : parts.masters, device_weights, stage);
    it.fetch(tensors.gradients, i + kInFlight, marks, passed);
  }
  it.upward.mark().block_current();
}

}  // namespace txtsum::ops
