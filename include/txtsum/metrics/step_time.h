#pragma once

namespace txtsum::metrics {

/// What one rank does in an update, for a forecast of its time.
struct StepWork {
  double flops = 0;             ///< Of the model, and of what is computed again.
  double activation_bytes = 0;  ///< What all forward passes of the update keep, or would keep.
  double state_bytes = 0;       ///< What norm, clipping and optimizer read and write.
  double passes = 0;            ///< Micro-batches.
  double sent_bytes = 0;        ///< To other ranks.
  double host_bytes = 0;        ///< What the updates of all ranks read and write in their host's memory (offload).
  bool goes_along = false;      ///< Those begin with the last backward pass, not behind it.
};

/// A device by its data sheet.
struct StepDevice {
  double flops_per_second = 0;       ///< Peak.
  double bytes_per_second = 0;       ///< Of a GPU's memory; 0 on a CPU.
  double host_bytes_per_second = 0;  ///< Of its host's memory, where that has work.
};

/// Seconds of an update: one after the other.
struct StepTime {
  double device = 0;
  double host = 0;  ///< In which a GPU waits for its host.
  double total() const { return device + host; }
};

// Fitted to the trainings of docs/benchmarks/gpu.md on an H100; docs/planning.md has the errors.
inline constexpr double kProductShare = 0.47;     ///< Of the peak FLOP/s.
inline constexpr double kActivationPasses = 4.6;  ///< Times that what is kept is moved.
inline constexpr double kStateShare = 0.75;       ///< Of the memory's rate.
inline constexpr double kPassSeconds = 3.6e-3;    ///< Beside, of a forward and backward pass.
// docs/benchmarks/gpu_ranks.md
inline constexpr double kLinkBytesPerSecond = 230e9;  ///< Of ranks on one host.
// docs/benchmarks/gpu_offload.md
inline constexpr double kHostStateShare = 0.85;  ///< Of the host's rate in AdamW.
inline constexpr double kWaitingPower = 0.18;    ///< Of a GPU's power by its data sheet, while it waits for its host.
inline constexpr double kBackwardShare = 2.0 / 3.0;  ///< Of a pass; by the count of its products.
// docs/benchmarks/quickstart_cpu.md
inline constexpr double kHostProductShare = 0.55;  ///< Of a CPU's time that products take at the peak that is stated.

StepTime step_time(const StepWork& work, const StepDevice& device);

}  // namespace txtsum::metrics
