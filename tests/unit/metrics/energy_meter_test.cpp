#include "txtsum/metrics/energy_meter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/temporary_folder.h"
#include "txtsum/core/error.h"
#include "unit/metrics/ledger_fakes.h"

namespace txtsum::tests {
namespace {

using metrics::EnergyComponent;
using metrics::EnergyOptions;
using metrics::MeterSet;
using metrics::Provenance;
using ::testing::HasSubstr;

constexpr char kCardA[] = "00000000:3b:00.0";
constexpr char kCardB[] = "00000000:af:00.0";

class EnergyMeterTest : public ::testing::Test {
 protected:
  EnergyMeterTest() {
    options_.rapl_root = folder_.path("powercap");
    options_.proc_root = folder_.path("proc");
    write_proc_stat(options_.proc_root, 1000, 1000);
    core::write_file(options_.proc_root + "/meminfo", "MemTotal:       33554432 kB\nMemFree: 1 kB\n");
    nvml_->cards[kCardA] = {};
    nvml_->cards[kCardB] = {};
  }
  MeterSet make(const std::vector<std::string>& ids) { return make_meters(options_, ids, nvml_, "", clock_); }
  MeterSet make_without_gpu() { return make_meters(options_, {}, nullptr, "", clock_); }
  static std::string missing_reason(const MeterSet& set, EnergyComponent component) {
    for (const auto& item : set.missing) {
      if (item.component == component) return item.reason;
    }
    return "";
  }
  static metrics::EnergyMeter* find(const MeterSet& set, EnergyComponent component) {
    for (const auto& meter : set.meters) {
      if (meter->info().component == component) return meter.get();
    }
    return nullptr;
  }

  TemporaryFolder folder_;
  EnergyOptions options_;
  FakeClock clock_;
  std::shared_ptr<FakeNvml> nvml_ = std::make_shared<FakeNvml>();
};

TEST_F(EnergyMeterTest, GpuEnergyIsTheDifferenceOfTheCounter) {
  const MeterSet set = make({"0000:3B:00.0"});
  auto* meter = find(set, EnergyComponent::kGpu);
  ASSERT_NE(meter, nullptr);
  EXPECT_DOUBLE_EQ(meter->read_joules(), 0.0);
  *nvml_->cards[kCardA].millijoules += 12'345;
  EXPECT_DOUBLE_EQ(meter->read_joules(), 12.345);
  EXPECT_EQ(meter->info().provenance, Provenance::kMeasured);
  EXPECT_THAT(meter->info().source, HasSubstr("energy counter"));
}

TEST_F(EnergyMeterTest, TwoRanksOnOneDeviceCountItOnce) {
  const MeterSet set = make({"0000:3B:00.0", "00000000:3b:00.0", "0000:af:00.0"});
  int gpus = 0;
  for (const auto& meter : set.meters) gpus += meter->info().component == EnergyComponent::kGpu;
  EXPECT_EQ(gpus, 2);
}

TEST_F(EnergyMeterTest, GpuCounterResetAddsWhatCameAfterIt) {
  const MeterSet set = make({kCardA});
  auto* meter = find(set, EnergyComponent::kGpu);
  nvml_->cards[kCardA].millijoules = 5'010'000;
  EXPECT_DOUBLE_EQ(meter->read_joules(), 10.0);
  nvml_->cards[kCardA].millijoules = 3'000;
  EXPECT_DOUBLE_EQ(meter->read_joules(), 13.0);
  EXPECT_THAT(meter->info().note, HasSubstr("reset 1 times"));
}

TEST_F(EnergyMeterTest, FailedGpuReadIsCaughtUpAndNoted) {
  const MeterSet set = make({kCardA});
  auto* meter = find(set, EnergyComponent::kGpu);
  nvml_->cards[kCardA].millijoules.reset();
  EXPECT_DOUBLE_EQ(meter->read_joules(), 0.0);
  nvml_->cards[kCardA].millijoules = 5'020'000;
  EXPECT_DOUBLE_EQ(meter->read_joules(), 20.0);
  EXPECT_THAT(meter->info().note, HasSubstr("1 reads failed (Not Supported)"));
}

TEST_F(EnergyMeterTest, WithoutCounterPowerIsIntegratedAndSaidSo) {
  nvml_->cards[kCardA].millijoules.reset();
  const MeterSet set = make({kCardA});
  auto* meter = find(set, EnergyComponent::kGpu);
  clock_.now += 2;
  nvml_->cards[kCardA].milliwatts = 300'000;
  EXPECT_DOUBLE_EQ(meter->read_joules(), 400.0);  // Trapezoid of 100 W and 300 W over 2 s.
  EXPECT_EQ(meter->info().provenance, Provenance::kMeasured);
  EXPECT_THAT(meter->info().source, HasSubstr("sampled and integrated"));
  EXPECT_THAT(meter->info().note, HasSubstr("no energy counter (Not Supported)"));
}

TEST_F(EnergyMeterTest, GpuWithoutAnyReadingIsMissingWithTheKey) {
  nvml_->cards[kCardA] = {std::nullopt, std::nullopt, std::nullopt, false, {}};
  const MeterSet set = make({kCardA});
  EXPECT_EQ(find(set, EnergyComponent::kGpu), nullptr);
  EXPECT_THAT(missing_reason(set, EnergyComponent::kGpu), HasSubstr("resources.gpu_tdp_watts"));
}

TEST_F(EnergyMeterTest, MigSliceIsMissingAlthoughTheCardHasACounter) {
  nvml_->cards[kCardA].mig = true;
  const MeterSet set = make({kCardA, kCardB});
  EXPECT_THAT(missing_reason(set, EnergyComponent::kGpu), HasSubstr("MIG is on"));
  EXPECT_NE(find(set, EnergyComponent::kGpu), nullptr);  // The other card.
}

TEST_F(EnergyMeterTest, UnknownDeviceAndMissingDriverSayWhy) {
  EXPECT_THAT(missing_reason(make({"0000:01:00.0"}), EnergyComponent::kGpu), HasSubstr("Not Found"));
  const MeterSet set = make_meters(options_, {kCardA}, nullptr, "no driver here", clock_);
  EXPECT_THAT(missing_reason(set, EnergyComponent::kGpu), HasSubstr("no driver here"));
  EXPECT_THROW(make({"gpu0"}), core::UserError);
}

TEST_F(EnergyMeterTest, StatedGpuWattsAreModelledByUtilisation) {
  options_.gpu_tdp_watts = 400;
  nvml_->cards[kCardA] = {std::nullopt, std::nullopt, 0.25, false, {}};
  const MeterSet set = make({kCardA});
  auto* meter = find(set, EnergyComponent::kGpu);
  clock_.now += 10;
  EXPECT_DOUBLE_EQ(meter->read_joules(), 1000.0);
  EXPECT_EQ(meter->info().provenance, Provenance::kModelled);
  const MeterSet blind = make_meters(options_, {kCardA}, nullptr, "no driver", clock_);
  clock_.now += 10;
  EXPECT_DOUBLE_EQ(find(blind, EnergyComponent::kGpu)->read_joules(), 4000.0);
  EXPECT_THAT(find(blind, EnergyComponent::kGpu)->info().source, HasSubstr("utilisation taken as 1"));
}

TEST_F(EnergyMeterTest, RaplSumsPackagesAndDramAndLeavesOverlapsOut) {
  const std::string root = options_.rapl_root;
  write_rapl_domain(root + "/intel-rapl:0", "package-0", 1'000'000, 262'143'328'850);
  write_rapl_domain(root + "/intel-rapl:0:0", "core", 1, 262'143'328'850);
  write_rapl_domain(root + "/intel-rapl:0:1", "dram", 500'000, 65'712'999'613);
  write_rapl_domain(root + "/intel-rapl:1", "package-1", 9'000'000, 262'143'328'850);
  write_rapl_domain(root + "/intel-rapl:2", "psys", 77, 262'143'328'850);
  write_rapl_domain(root + "/intel-rapl-mmio:0", "package-0", 1'000'000, 262'143'328'850);
  const MeterSet set = make_without_gpu();
  write_rapl_domain(root + "/intel-rapl:0", "package-0", 3'000'000, 262'143'328'850);
  write_rapl_domain(root + "/intel-rapl:0:0", "core", 900'000'000, 262'143'328'850);
  write_rapl_domain(root + "/intel-rapl:0:1", "dram", 750'000, 65'712'999'613);
  write_rapl_domain(root + "/intel-rapl:1", "package-1", 12'000'000, 262'143'328'850);
  write_rapl_domain(root + "/intel-rapl:2", "psys", 900'000'000, 262'143'328'850);
  EXPECT_DOUBLE_EQ(find(set, EnergyComponent::kCpu)->read_joules(), 5.0);
  EXPECT_DOUBLE_EQ(find(set, EnergyComponent::kRam)->read_joules(), 0.25);
  EXPECT_EQ(find(set, EnergyComponent::kCpu)->info().source, "RAPL package-0 + package-1");
}

TEST_F(EnergyMeterTest, RaplReadsPartsNestedInTheirPackage) {
  const std::string root = options_.rapl_root;
  write_rapl_domain(root + "/intel-rapl:0", "package-0", 0, 1'000'000);
  write_rapl_domain(root + "/intel-rapl:0/intel-rapl:0:0", "dram", 0, 1'000'000);
  const MeterSet set = make_without_gpu();
  write_rapl_domain(root + "/intel-rapl:0/intel-rapl:0:0", "dram", 400'000, 1'000'000);
  ASSERT_NE(find(set, EnergyComponent::kRam), nullptr);
  EXPECT_DOUBLE_EQ(find(set, EnergyComponent::kRam)->read_joules(), 0.4);
}

TEST_F(EnergyMeterTest, RaplWrapsAtItsRange) {
  const std::string domain = options_.rapl_root + "/intel-rapl:0";
  write_rapl_domain(domain, "package-0", 9'000'000, 10'000'000);
  const MeterSet set = make_without_gpu();
  write_rapl_domain(domain, "package-0", 500'000, 10'000'000);
  EXPECT_DOUBLE_EQ(find(set, EnergyComponent::kCpu)->read_joules(), 1.5);
}

TEST_F(EnergyMeterTest, RaplWithoutRangeTakesASmallerValueForAReset) {
  const std::string domain = options_.rapl_root + "/intel-rapl:0";
  core::write_file(domain + "/name", "package-0\n");
  core::write_file(domain + "/energy_uj", "9000000\n");
  const MeterSet set = make_without_gpu();
  core::write_file(domain + "/energy_uj", "500000\n");
  EXPECT_DOUBLE_EQ(find(set, EnergyComponent::kCpu)->read_joules(), 0.5);
  EXPECT_THAT(find(set, EnergyComponent::kCpu)->info().note, HasSubstr("1 resets"));
}

TEST_F(EnergyMeterTest, OneCounterShownTwiceIsCountedOnce) {
  const std::string root = options_.rapl_root;
  write_rapl_domain(root + "/intel-rapl:0", "package-0", 4'000'000, 65'532'610'987);
  write_rapl_domain(root + "/intel-rapl:1", "package-0-die-1", 4'000'000, 65'532'610'987);
  const MeterSet set = make_without_gpu();
  write_rapl_domain(root + "/intel-rapl:0", "package-0", 6'000'000, 65'532'610'987);
  write_rapl_domain(root + "/intel-rapl:1", "package-0-die-1", 6'000'000, 65'532'610'987);
  EXPECT_DOUBLE_EQ(find(set, EnergyComponent::kCpu)->read_joules(), 2.0);
  EXPECT_THAT(find(set, EnergyComponent::kCpu)->info().note, HasSubstr("counted once"));
}

TEST_F(EnergyMeterTest, UnreadableRaplIsMissingWithTheWayOut) {
  write_rapl_domain(options_.rapl_root + "/intel-rapl:0", "package-0", 1, 10);
  core::write_file(options_.rapl_root + "/intel-rapl:1/name", "package-1\n");  // Its counter cannot be read.
  const MeterSet set = make_without_gpu();
  EXPECT_EQ(find(set, EnergyComponent::kCpu), nullptr);
  const std::string reason = missing_reason(set, EnergyComponent::kCpu);
  EXPECT_THAT(reason, HasSubstr("intel-rapl:1/energy_uj: No such file"));
  EXPECT_THAT(reason, HasSubstr("chmod a+r"));
  EXPECT_THAT(reason, HasSubstr("resources.cpu_tdp_watts"));
}

TEST_F(EnergyMeterTest, WithoutRaplStatedWattsAreModelledByTheMachinesUtilisation) {
  options_.cpu_tdp_watts = 200;
  const MeterSet set = make_without_gpu();
  auto* meter = find(set, EnergyComponent::kCpu);
  ASSERT_NE(meter, nullptr);
  write_proc_stat(options_.proc_root, 1300, 1100);  // 300 of 400 ticks busy.
  clock_.now += 4;
  EXPECT_DOUBLE_EQ(meter->read_joules(), 200 * 0.75 * 4);
  EXPECT_EQ(meter->info().provenance, Provenance::kModelled);
  clock_.now += 1;  // No tick has passed: the window stays open.
  EXPECT_DOUBLE_EQ(meter->read_joules(), 600.0);
  write_proc_stat(options_.proc_root, 1400, 1100);
  clock_.now += 1;
  EXPECT_DOUBLE_EQ(meter->read_joules(), 600.0 + 200 * 2);
}

TEST_F(EnergyMeterTest, RamAndConstantWattsAreModelledOnlyWhenStated) {
  EXPECT_THAT(missing_reason(make_without_gpu(), EnergyComponent::kRam), HasSubstr("resources.ram_watts_per_gib"));
  EXPECT_EQ(find(make_without_gpu(), EnergyComponent::kOther), nullptr);
  options_.ram_watts_per_gib = 0.375;
  options_.constant_watts = 30;
  const MeterSet set = make_without_gpu();
  clock_.now += 10;
  EXPECT_DOUBLE_EQ(find(set, EnergyComponent::kRam)->read_joules(), 0.375 * 32 * 10);
  EXPECT_DOUBLE_EQ(find(set, EnergyComponent::kOther)->read_joules(), 300.0);
}

TEST(NvmlLibrary, ReadsADriverThroughItsFunctionTable) {
  const metrics::NvmlLibrary library = metrics::open_nvml(TXTSUM_FAKE_NVML);
  ASSERT_NE(library.nvml, nullptr) << library.problem;
  const auto device = library.nvml->device_by_pci_bus_id("0000:3b:00.0");
  ASSERT_TRUE(device.value.has_value()) << device.problem;
  EXPECT_EQ(*library.nvml->name(*device.value).value, "Test Card");
  EXPECT_EQ(*library.nvml->total_energy_millijoules(*device.value).value, 123456789012ULL);
  EXPECT_EQ(*library.nvml->power_milliwatts(*device.value).value, 250000u);
  EXPECT_DOUBLE_EQ(library.nvml->utilisation(*device.value).value->device_share, 0.75);
  EXPECT_EQ(*library.nvml->memory_used_bytes(*device.value).value, 3000u);
  EXPECT_EQ(*library.nvml->driver_version().value, "580.65.06");
  // More than there is room for at first, and one process in both lists.
  const auto processes = library.nvml->process_ids(*device.value);
  ASSERT_TRUE(processes.value.has_value()) << processes.problem;
  EXPECT_EQ(processes.value->size(), 101u);
  EXPECT_EQ(processes.value->front(), 1000u);
  EXPECT_EQ(processes.value->back(), 5000u);
  EXPECT_EQ(library.nvml->mig_enabled(*device.value).problem, "this driver's NVML does not have the call");
  EXPECT_EQ(library.nvml->device_by_pci_bus_id("0000:99:00.0").problem, "Not Found");
}

TEST(NvmlLibrary, SaysThatThereIsNoDriver) {
  const metrics::NvmlLibrary library = metrics::open_nvml("libno-such-driver.so");
  EXPECT_EQ(library.nvml, nullptr);
  EXPECT_THAT(library.problem, HasSubstr("cannot open libno-such-driver.so"));
}

}  // namespace
}  // namespace txtsum::tests
