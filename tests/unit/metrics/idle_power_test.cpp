#include "txtsum/metrics/idle_power.h"

#include <gtest/gtest.h>

#include "unit/metrics/ledger_fakes.h"

namespace txtsum::tests {
namespace {

using metrics::EnergyComponent;
using metrics::MeterSet;
using metrics::Provenance;

class IdlePowerTest : public ::testing::Test {
 protected:
  void add(EnergyComponent component, Provenance provenance, const std::shared_ptr<double>& joules) {
    meters_.meters.push_back(std::make_unique<ScriptedMeter>(component, provenance, joules));
  }
  std::vector<metrics::IdlePower> read(double first_watts, double second_watts, double late = 0) {
    return metrics::read_idle_power(meters_, clock_, [&](double seconds) {
      ++waits_;
      clock_.now += seconds + late;
      *first_ += first_watts * (seconds + late);
      *second_ += second_watts * (seconds + late);
    });
  }

  MeterSet meters_;
  FakeClock clock_;
  std::shared_ptr<double> first_ = std::make_shared<double>(7000.0);
  std::shared_ptr<double> second_ = std::make_shared<double>(0.0);
  int waits_ = 0;
};

TEST_F(IdlePowerTest, IsTheMeanOverAShortWaitOfEachComponent) {
  add(EnergyComponent::kGpu, Provenance::kMeasured, first_);
  add(EnergyComponent::kCpu, Provenance::kMeasured, second_);
  const auto idle = read(70, 30, /*late=*/0.25);
  ASSERT_EQ(idle.size(), 2u);
  EXPECT_EQ(idle[0].component, EnergyComponent::kGpu);
  EXPECT_NEAR(idle[0].watts, 70, 1e-9);
  EXPECT_NEAR(idle[1].watts, 30, 1e-9);
  EXPECT_DOUBLE_EQ(idle[0].seconds, metrics::kIdleSeconds + 0.25);
  EXPECT_EQ(idle[0].source, "scripted meter");
  EXPECT_EQ(waits_, 1);
}

TEST_F(IdlePowerTest, MetersOfOneComponentAddUp) {
  add(EnergyComponent::kGpu, Provenance::kMeasured, first_);
  add(EnergyComponent::kGpu, Provenance::kMeasured, second_);
  const auto idle = read(70, 30);
  ASSERT_EQ(idle.size(), 1u);
  EXPECT_NEAR(idle[0].watts, 100, 1e-9);
  EXPECT_EQ(idle[0].source, "scripted meter; scripted meter");
}

TEST_F(IdlePowerTest, WithoutAMeasuringMeterNothingIsWaitedFor) {
  EXPECT_TRUE(read(70, 30).empty());
  add(EnergyComponent::kCpu, Provenance::kModelled, first_);
  EXPECT_TRUE(read(70, 30).empty());
  EXPECT_EQ(waits_, 0);
}

TEST(IdleOfMachine, AddsUpTheGpusOfItsRanksAndNothingWhereOneIsMissing) {
  const std::vector<metrics::IdlePower> own{{EnergyComponent::kGpu, 70, 1, "card 0"},
                                            {EnergyComponent::kCpu, 30, 1, "rapl"}};
  const metrics::IdlePower first{EnergyComponent::kGpu, 70, 1, "card 0"},
      second{EnergyComponent::kGpu, 60, 1, "card 1"};
  const auto both = metrics::idle_of_machine(own, {first, second});
  ASSERT_EQ(both.size(), 2u);
  EXPECT_EQ(both[0].component, EnergyComponent::kCpu);
  EXPECT_DOUBLE_EQ(both[0].watts, 30);
  EXPECT_DOUBLE_EQ(both[1].watts, 130);
  EXPECT_EQ(both[1].source, "card 0; card 1");
  const auto part = metrics::idle_of_machine(own, {first, std::nullopt});
  ASSERT_EQ(part.size(), 1u);
  EXPECT_EQ(part[0].component, EnergyComponent::kCpu);
}

}  // namespace
}  // namespace txtsum::tests
