#include "app/compute_device.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "txtsum/parallel/make_communicator.h"

namespace txtsum::tests {
namespace {

/// What rank 0 knows when ranks on this machine, one a GPU, have counted their devices.
app::ComputeDevice counted(const std::vector<std::string>& gpus) {
  const auto ranks = parallel::make_thread_communicators(static_cast<int64_t>(gpus.size()), 60);
  std::vector<app::ComputeDevice> devices(gpus.size());
  std::vector<std::thread> threads;
  for (size_t rank = 0; rank < gpus.size(); ++rank) {
    threads.emplace_back([&, rank] {
      devices[rank].gpu = ops::DeviceFacts();
      devices[rank].gpu->pci_bus_id = gpus[rank];
      devices[rank].idle = {{metrics::EnergyComponent::kGpu, 70.0 + static_cast<double>(rank), 1, gpus[rank]},
                            {metrics::EnergyComponent::kCpu, 30, 1, "rapl"}};
      app::count_devices(devices[rank], *ranks[rank]);
    });
  }
  for (std::thread& thread : threads) thread.join();
  return devices[0];
}

double gpu_watts(const app::ComputeDevice& device) {
  double watts = 0;
  for (const metrics::IdlePower& idle : device.idle) {
    if (idle.component == metrics::EnergyComponent::kGpu) watts += idle.watts;
  }
  return watts;
}

// Each rank may see no card but its own, and nothing may say how many ranks there are here.
TEST(CountDevices, IdlePowerIsOfTheGpusThatEnergyCounts) {
  const app::ComputeDevice device = counted({"0000:01", "0000:02", "0000:03"});
  EXPECT_EQ(device.gpus_here.size(), 3u);
  EXPECT_DOUBLE_EQ(gpu_watts(device), 70 + 71 + 72);
  EXPECT_EQ(device.idle.size(), 2u);  // the CPU's once
}

TEST(CountDevices, AGpuThatRanksShareCountsOnce) {
  const app::ComputeDevice device = counted({"0000:01", "0000:01"});
  EXPECT_EQ(device.gpus_here.size(), 1u);
  EXPECT_DOUBLE_EQ(gpu_watts(device), 70);
}

}  // namespace
}  // namespace txtsum::tests
