// The forecast of an update's time beside the trainings that were timed on an H100 (docs/planning.md).

#include "txtsum/metrics/step_time.h"

#include <gtest/gtest.h>

#include <cmath>

namespace txtsum::tests {
namespace {

constexpr metrics::StepDevice kH100{989.4e12, 3350e9};

struct Timed {
  const char* name;
  metrics::StepWork work;
  double seconds;
};

constexpr Timed kTimed[] = {
    {"samsum16", {3.454e12, 1.082e9, 12.19e9, 1, 0}, 17.46e-3},
    {"samsum64", {13.4e12, 4.201e9, 12.19e9, 1, 0}, 40.55e-3},
    {"samsum128", {26.8e12, 8.4e9, 12.19e9, 1, 0}, 73.67e-3},
    {"long16", {23.08e12, 6.578e9, 12.19e9, 1, 0}, 57.90e-3},
    {"led4096", {24.33e12, 6.222e9, 13.8e9, 1, 0}, 70.37e-3},
    {"led16384", {23.39e12, 5.879e9, 13.8e9, 1, 0}, 74.68e-3},
    {"bigbird4096", {28.2e12, 9.424e9, 17.31e9, 1, 0}, 83.23e-3},
    {"t5samsum64", {7.716e12, 3.636e9, 7.106e9, 1, 0}, 31.51e-3},
    {"curve2048", {51.01e12, 13.52e9, 15.31e9, 1, 0}, 139.05e-3},
    {"curve8192", {47.22e12, 11.99e9, 15.31e9, 1, 0}, 128.33e-3},
    {"curve32768", {46.63e12, 11.7e9, 15.31e9, 1, 0}, 144.09e-3},
    {"curve65536", {93.13e12, 23.35e9, 15.31e9, 1, 0}, 267.38e-3},
};

TEST(StepTime, IsWithinASixthOfWhatWasTimed) {
  double sum = 0.0;
  for (const Timed& timed : kTimed) {
    const double error = metrics::step_time(timed.work, kH100).total() / timed.seconds - 1.0;
    EXPECT_LT(std::abs(error), 0.17) << timed.name;  // 0.16
    sum += std::abs(error);
  }
  EXPECT_LT(sum / std::size(kTimed), 0.07);  // 0.062
}

/// samsum64 of docs/benchmarks/gpu_offload.md: 28 bytes an element in the host's memory, the norm on the GPU.
TEST(StepTime, OfOffloadedUpdatesIsWithinATenthOfWhatWasTimed) {
  constexpr double kElements = 406.3e6;
  const metrics::StepWork work{13.4e12, 4.201e9, 2 * kElements, 1, 0, 28 * kElements};
  metrics::StepWork along = work;
  along.goes_along = true;
  const metrics::StepDevice h100{989.4e12, 3350e9, 122e9}, h200{989.4e12, 4800e9, 100e9};
  const double samples = 64;
  EXPECT_NEAR(samples / metrics::step_time(work, h100).total() / 417, 1.0, 0.10);
  EXPECT_NEAR(samples / metrics::step_time(work, h200).total() / 353, 1.0, 0.10);
  EXPECT_NEAR(samples / metrics::step_time(work, h200).total() / 379, 1.0, 0.10);     // stage 3
  EXPECT_NEAR(samples / metrics::step_time(along, h200).total() / 424.5, 1.0, 0.10);  // both stages
  // As much is hidden as there is.
  along.host_bytes = 1e6;
  EXPECT_EQ(metrics::step_time(along, h200).host, 0.0);
  EXPECT_EQ(metrics::step_time(along, h200).device, metrics::step_time(work, h200).device);
}

TEST(StepTime, AddsItsPartsUp) {
  const metrics::StepWork work{1e13, 5e9, 1e10, 2, 1e9};
  const double alone = metrics::step_time({work.flops, work.activation_bytes, work.state_bytes, 0, 0}, kH100).total();
  EXPECT_DOUBLE_EQ(metrics::step_time(work, kH100).total(),
                   alone + 2 * metrics::kPassSeconds + 1e9 / metrics::kLinkBytesPerSecond);
  // Of a CPU the products alone are known.
  EXPECT_DOUBLE_EQ(metrics::step_time(work, {1e11, 0}).total(), 1e13 / (metrics::kHostProductShare * 1e11));
}

}  // namespace
}  // namespace txtsum::tests
