#include "txtsum/metrics/host_sampler.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "support/temporary_folder.h"
#include "txtsum/core/file.h"
#include "unit/metrics/ledger_fakes.h"

namespace txtsum::tests {
namespace {

TEST(HostSampler, UtilisationLeavesIdleWaitAndStolenTimeOut) {
  TemporaryFolder folder;
  core::write_file(folder.path("stat"), "cpu  100 10 20 500 50 5 5 0 90 9\ncpu0 1 1 1 1\n");
  metrics::CpuUtilisation utilisation(folder.path());
  EXPECT_FALSE(utilisation.sample().has_value());
  // 30 user, 10 nice, 5 system, 3 irq, 2 softirq busy; 30 idle, 10 wait, 10 stolen.
  core::write_file(folder.path("stat"), "cpu  130 20 25 530 60 8 7 10 99 9\n");
  EXPECT_DOUBLE_EQ(*utilisation.sample(), 0.5);
}

TEST(HostSampler, ProcessTimesAreFoundBehindAnAwkwardName) {
  TemporaryFolder folder;
  const long tick = sysconf(_SC_CLK_TCK);
  core::write_file(folder.path("self/stat"), "42 (a) b (c)) R 1 2 3 4 5 6 7 8 9 10 " + std::to_string(3 * tick) + " " +
                                                 std::to_string(2 * tick) + " 0 0 20\n");
  EXPECT_DOUBLE_EQ(*metrics::process_cpu_seconds(folder.path()), 5.0);
}

TEST(HostSampler, MemoryIsReadInBytes) {
  TemporaryFolder folder;
  core::write_file(folder.path("self/status"), "Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n");
  core::write_file(folder.path("meminfo"), "MemTotal:       4096 kB\n");
  EXPECT_EQ(metrics::process_memory(folder.path())->resident_bytes, 1024 * 1024);
  EXPECT_EQ(metrics::process_memory(folder.path())->peak_resident_bytes, 2048 * 1024);
  EXPECT_EQ(*metrics::machine_memory_bytes(folder.path()), 4096 * 1024);
}

TEST(HostSampler, MissingFilesGiveNothing) {
  TemporaryFolder folder;
  EXPECT_FALSE(metrics::CpuUtilisation(folder.path()).readable());
  EXPECT_FALSE(metrics::process_cpu_seconds(folder.path()).has_value());
  EXPECT_FALSE(metrics::process_memory(folder.path()).has_value());
  EXPECT_EQ(metrics::cpu_model_name(folder.path()), "");
}

TEST(HostSampler, ReadsThisMachine) {
  EXPECT_TRUE(metrics::CpuUtilisation().readable());
  EXPECT_GT(metrics::process_memory()->resident_bytes, 1 << 20);
  EXPECT_GE(*metrics::process_cpu_seconds(), 0.0);
  EXPECT_GT(*metrics::machine_memory_bytes(), 1 << 20);
}

}  // namespace
}  // namespace txtsum::tests
