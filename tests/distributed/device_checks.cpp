#include "device_checks.h"

#include <ATen/ATen.h>

#include <csignal>
#include <cstdio>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "support/collective_script.h"
#include "txtsum/core/clock.h"
#include "txtsum/core/error.h"
#include "txtsum/ops/device.h"
#include "txtsum/ops/device_graph.h"

namespace txtsum::tests {
namespace {

double now() { return core::system_clock().monotonic_seconds(); }

/// Largest relative rounding of one addition.
double rounding(at::ScalarType type) {
  switch (type) {
    case at::kDouble:
      return std::numeric_limits<double>::epsilon() / 2;
    case at::kFloat:
      return std::numeric_limits<float>::epsilon() / 2;
    case at::kHalf:
      return 0x1p-11;
    default:
      return 0x1p-8;  // bf16: 8 bits
  }
}

void require_equal(const at::Tensor& found, const at::Tensor& wanted, const std::string& what) {
  if (!at::equal(found.to(at::kCPU), wanted.to(at::kCPU))) throw core::DataError(what + " differs");
}

/// `scale`: sums of the addends' absolute values.
void require_sums(const at::Tensor& found, const at::Tensor& sums, const at::Tensor& scale, int64_t world,
                  const std::string& what) {
  const at::ScalarType type = found.scalar_type();
  if (world == 2 && (type == at::kFloat || type == at::kDouble)) return require_equal(found, sums.to(type), what);
  // The host rounds as well.
  const at::Tensor room = scale * (rounding(type) * 2.0 * static_cast<double>(world)) + 1e-7;
  const at::Tensor error = at::abs(found.to(at::kCPU).to(at::kDouble) - sums);
  if (!at::all(error.le(room)).item<bool>()) {
    throw core::DataError(what + " is off by " + std::to_string(error.max().item<double>()));
  }
}

struct Sums {
  at::Tensor values, scale;  ///< fp64.
};

/// Added in the type's own precision where that is fp32 or fp64.
Sums sums_of(int64_t world, int64_t numel, at::ScalarType type) {
  const at::ScalarType adding = type == at::kDouble ? at::kDouble : at::kFloat;
  at::Tensor values = at::zeros({numel}, adding);
  at::Tensor scale = at::zeros({numel}, at::kDouble);
  for (int64_t rank = 0; rank < world; ++rank) {
    const at::Tensor addend = rank_values(rank, numel, type);
    values = values + addend.to(adding);
    scale = scale + at::abs(addend.to(at::kDouble));
  }
  return {values.to(at::kDouble), scale};
}

void compare_tensors(parallel::Communicator& ranks, const at::Device& device, int64_t numel, at::ScalarType type) {
  const std::string what = std::string(c10::toString(type)) + " " + std::to_string(numel) + ": ";
  const Sums wanted = sums_of(ranks.world(), numel, type);
  const at::Tensor own_sums = own_part(wanted.values, ranks), own_scale = own_part(wanted.scale, ranks);
  const at::Tensor values = rank_values(ranks.rank(), numel, type).to(device), kept = values.clone();
  const at::Tensor shard = at::empty_like(own_part(values, ranks)), all = at::empty_like(values);
  ranks.wait(ranks.reduce_scatter(values, shard));
  const parallel::TicketRef gather = ranks.all_gather(shard, all);
  const at::Tensor sent = kept.clone();
  ranks.wait(ranks.broadcast(sent, ranks.world() - 1));
  ranks.wait(gather);
  require_equal(values, kept, what + "what reduce_scatter reads");
  require_sums(shard, own_sums, own_scale, ranks.world(), what + "reduce_scatter");
  require_equal(own_part(all, ranks), shard, what + "this rank's part of all_gather");
  require_sums(all, wanted.values, wanted.scale, ranks.world(), what + "all_gather");
  require_equal(sent, rank_values(ranks.world() - 1, numel, type), what + "broadcast");
  // In place.
  const at::Tensor own = own_part(values, ranks);
  ranks.wait(ranks.reduce_scatter(values, own));
  ranks.wait(ranks.all_gather(own, values));
  require_equal(values, all, what + "the same in place");
}

void compare_numbers(parallel::Communicator& ranks) {
  std::vector<double> numbers{static_cast<double>(ranks.rank() + 1), 0.5};
  ranks.all_reduce(numbers);
  const auto world = static_cast<double>(ranks.world());
  if (numbers != std::vector<double>{world * (world + 1) / 2, world / 2}) throw core::DataError("all_reduce differs");
  const std::vector<std::string> bytes = ranks.gather_bytes(std::string(static_cast<size_t>(ranks.rank() * 3), 'r'));
  for (size_t r = 0; r < bytes.size(); ++r) {
    if (bytes[r] != std::string(r * 3, 'r')) throw core::DataError("gather_bytes differs");
  }
  ranks.barrier();
}

void say_that_it_is_right(const parallel::Communicator& ranks, const at::Device& device, const char* what) {
  std::printf("rank %d of %d: %s as wanted on %s\n", static_cast<int>(ranks.rank()), static_cast<int>(ranks.world()),
              what, device.str().c_str());
}

}  // namespace

void compare_with_host(parallel::Communicator& ranks, const at::Device& device) {
  for (const at::ScalarType type : {at::kFloat, at::kDouble, at::kBFloat16, at::kHalf}) {
    for (const int64_t numel : {0, 1, 33, 4096, 5003, 1'300'003, 4 << 20}) compare_tensors(ranks, device, numel, type);
  }
  compare_numbers(ranks);
  say_that_it_is_right(ranks, device, "collectives");
}

void check_graph(parallel::Communicator& ranks, const at::Device& device) {
  // The second size is cut into unequal parts.
  for (const int64_t numel : {int64_t{1} << 20, int64_t{1'000'003}}) {
    const at::Tensor values = at::zeros({numel}, at::TensorOptions(at::kBFloat16).device(device));
    const at::Tensor shard = at::zeros_like(own_part(values, ranks)), all = at::zeros_like(values);
    const auto work = [&] {
      const parallel::TicketRef reduce = ranks.reduce_scatter(values, shard);
      all.zero_();  // beside it
      ranks.wait(reduce);
      ranks.wait(ranks.all_gather(shard, all));
      ranks.wait(ranks.broadcast(values, 0));
      all.add_(values);
    };
    ops::DevicePool pool(device);
    pool.run(work);
    const auto graph = pool.capture(work);
    for (int64_t replay = 1; replay <= 3; ++replay) {
      values.fill_(static_cast<double>(replay * (ranks.rank() + 1)));
      graph->replay();
      const auto world = static_cast<double>(ranks.world()), base = static_cast<double>(replay);
      require_equal(all, at::full_like(all, base * (world * (world + 1) / 2 + 1)), "replay " + std::to_string(replay));
    }
    ops::synchronize(device);
    ranks.barrier();  // no graph goes while another rank replays it
  }
  say_that_it_is_right(ranks, device, "a graph's collectives");
}

void replay_until_killed(parallel::Communicator& ranks, const at::Device& device, int64_t victim) {
  const at::Tensor values = at::ones({100'000}, device);
  const at::Tensor own = own_part(values, ranks);
  const auto work = [&] {
    ranks.wait(ranks.reduce_scatter(values, own));
    ranks.wait(ranks.all_gather(own, values));
  };
  ops::DevicePool pool(device);
  pool.run(work);
  const parallel::TrafficCounts before = ranks.counts();
  const auto graph = pool.capture(work);
  const parallel::TrafficCounts sent = ranks.take_captured(before);
  for (int64_t update = 1; update <= 10; ++update) {
    ranks.set_phase(update, "backward");
    if (update == 5 && ranks.rank() == victim) ::raise(SIGKILL);
    graph->replay();
    ranks.watch_replay(sent);
    ops::synchronize(device);
  }
  ranks.barrier();
}

void print_bandwidth(parallel::Communicator& ranks, const at::Device& device) {
  constexpr int64_t kWarmUps = 5, kTimes = 50;
  const auto measure = [&](const char* name, int64_t mib, const std::function<parallel::TicketRef()>& start) {
    for (int64_t i = 0; i < kWarmUps; ++i) ranks.wait(start());
    ops::synchronize(device);
    ranks.barrier();
    const double began = now();
    for (int64_t i = 0; i < kTimes; ++i) ranks.wait(start());
    const double host_seconds = (now() - began) / kTimes;
    ops::synchronize(device);
    const double seconds = (now() - began) / kTimes;
    const auto world = static_cast<double>(ranks.world());
    const double bytes = static_cast<double>(mib << 20);
    if (ranks.rank() != 0) return;
    std::printf("%-14s %4d MiB  %8.1f GB/s  %9.1f us, %6.1f us of them the host's\n", name, static_cast<int>(mib),
                bytes * (world - 1) / world / seconds / 1e9, seconds * 1e6, host_seconds * 1e6);
  };
  for (const int64_t mib : {0, 16, 64, 256}) {
    // The first, of a few elements, shows what a collective costs at least.
    const int64_t numel = mib == 0 ? 8 * ranks.world() : (mib << 20) / 2;
    const at::Tensor values = at::zeros({numel}, at::TensorOptions(at::kBFloat16).device(device));
    const at::Tensor own = own_part(values, ranks);
    measure("reduce_scatter", mib, [&] { return ranks.reduce_scatter(values, own); });
    measure("all_gather", mib, [&] { return ranks.all_gather(own, values); });
  }
  ranks.barrier();
}

}  // namespace txtsum::tests
