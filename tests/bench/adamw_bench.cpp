// How fast the CPU's AdamW goes through memory, beside a STREAM triad (McCalpin 1995) on the same threads in the same
// process: a = b + s * c. Bytes are those that a program reads and writes, as STREAM counts them: what a store fetches
// first is not counted.
//
// usage: adamw_bench [MILLION_ELEMENTS [REPETITIONS [THREADS]]]

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>

#include "txtsum/ops/adamw_update.h"
#include "txtsum/ops/host_memory.h"

namespace {

using namespace txtsum;

double seconds_of(const std::function<void()>& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

__attribute__((target_clones("default", "avx2", "avx512f"), optimize("O3"))) void triad(double* __restrict a,
                                                                                        const double* __restrict b,
                                                                                        const double* __restrict c,
                                                                                        double factor, int64_t count) {
  for (int64_t i = 0; i < count; ++i) a[i] = b[i] + factor * c[i];
}

at::Tensor zeros(int64_t numel, at::ScalarType type) { return ops::host_zeros(numel, type, at::kCPU); }

struct Case {
  const char* name;
  double bytes;  ///< Of one pass.
  std::function<void()> pass;
  double best_seconds = 1e30;
};

Case triad_case(int64_t numel) {
  const at::Tensor a = zeros(numel, at::kDouble), b = zeros(numel, at::kDouble), c = zeros(numel, at::kDouble);
  b.fill_(1.0);
  c.fill_(2.0);
  return {"STREAM triad", 24.0 * static_cast<double>(numel), [=] {
            at::parallel_for(0, numel, 1, [&](int64_t begin, int64_t end) {
              triad(a.mutable_data_ptr<double>() + begin, b.const_data_ptr<double>() + begin,
                    c.const_data_ptr<double>() + begin, 3.0, end - begin);
            });
          }};
}

Case adamw_case(const char* name, int64_t numel, at::ScalarType gradient_type, at::ScalarType working_type) {
  ops::AdamWTensors tensors;
  tensors.masters = zeros(numel, at::kFloat);
  tensors.first_moment = zeros(numel, at::kFloat);
  tensors.second_moment = zeros(numel, at::kFloat);
  tensors.gradients = zeros(numel, gradient_type);
  tensors.masters.normal_();
  tensors.gradients.normal_();
  if (working_type != at::kFloat) tensors.working = zeros(numel, working_type);
  double element = 6 * 4.0 + static_cast<double>(c10::elementSize(gradient_type));
  if (tensors.working.defined()) element += 2.0;
  ops::AdamWScalars scalars;
  scalars.learning_rate = 1e-5;
  scalars.weight_decay = 0.01;
  return {name, element * static_cast<double>(numel), [=] {
            ops::adamw_update(tensors, {{0, numel, true, false}}, scalars);
          }};
}

}  // namespace

int main(int argc, char** argv) {
  const int64_t numel = (argc > 1 ? std::atoll(argv[1]) : 32) * 1000000;
  const int repetitions = argc > 2 ? std::atoi(argv[2]) : 20;
  if (argc > 3) at::set_num_threads(std::atoi(argv[3]));
  Case cases[] = {triad_case(numel), adamw_case("AdamW, fp32 gradients", numel, at::kFloat, at::kFloat),
                  adamw_case("AdamW, bf16 gradients and weights", numel, at::kBFloat16, at::kBFloat16),
                  adamw_case("AdamW, fp32 gradients, bf16 weights", numel, at::kFloat, at::kBFloat16),
                  adamw_case("AdamW, fp16 gradients and weights", numel, at::kHalf, at::kHalf)};
  // In turn, so that whoever else uses the machine disturbs all alike.
  for (int i = 0; i < repetitions; ++i) {
    for (Case& each : cases) each.best_seconds = std::min(each.best_seconds, seconds_of(each.pass));
  }
  std::printf("%d threads, %lld million elements, best of %d\n", at::get_num_threads(),
              static_cast<long long>(numel / 1000000), repetitions);
  const double triad_rate = cases[0].bytes / cases[0].best_seconds;
  for (const Case& each : cases) {
    const double rate = each.bytes / each.best_seconds;
    std::printf("%-36s %7.1f GB/s  %5.1f %%\n", each.name, rate / 1e9, 100.0 * rate / triad_rate);
  }
  return 0;
}
