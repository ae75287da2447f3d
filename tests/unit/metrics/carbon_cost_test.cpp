#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/temporary_folder.h"
#include "txtsum/core/error.h"
#include "txtsum/core/file.h"
#include "txtsum/metrics/carbon.h"
#include "txtsum/metrics/cost.h"
#include "txtsum/metrics/device_card.h"
#include "txtsum/metrics/device_peak.h"

namespace txtsum::tests {
namespace {

using metrics::CarbonOptions;
using metrics::CostOptions;
using metrics::Figure;
using metrics::Provenance;
using ::testing::Contains;
using ::testing::HasSubstr;

Figure one_kwh() { return metrics::measured(1.0, "kWh", "meter"); }

CarbonOptions in_region(const std::string& region) {
  CarbonOptions options;
  options.region = region;
  return options;
}

TEST(Carbon, RegionGivesTheRangeOfTheTablesWithThePue) {
  const auto intensity = metrics::find_carbon_intensity(in_region("westus2"));
  ASSERT_EQ(intensity.factors.size(), 3u);
  EXPECT_DOUBLE_EQ(*intensity.pue.value, 1.15);
  EXPECT_EQ(*intensity.pue.year, 2023);
  const auto estimate = metrics::estimate_carbon(one_kwh(), intensity);
  EXPECT_DOUBLE_EQ(*estimate.low_grams.value, 1.15 * 119.76);
  EXPECT_DOUBLE_EQ(*estimate.high_grams.value, 1.15 * 369.473);
  EXPECT_THAT(estimate.low_grams.source, HasSubstr("Green Software Foundation"));
  EXPECT_EQ(estimate.low_grams.provenance, Provenance::kModelled);
  for (const auto& factor : intensity.factors) {
    EXPECT_FALSE(factor.source.empty() || factor.licence.empty() || factor.method.empty() || !factor.year);
  }
}

TEST(Carbon, RowMayHaveItsOwnYearAndTablesMayNotKnowARegion) {
  const auto intensity = metrics::find_carbon_intensity(in_region("uaenorth"));
  ASSERT_EQ(intensity.factors.size(), 2u);
  EXPECT_EQ(*intensity.factors[0].year, 2022);
  EXPECT_DOUBLE_EQ(*intensity.pue.value, 1.16);
  EXPECT_THAT(intensity.pue.note, HasSubstr("no table has one for uaenorth"));
  EXPECT_DOUBLE_EQ(*metrics::find_carbon_intensity(in_region("polandcentral")).pue.value, 1.19);
}

TEST(Carbon, UnsetOrUnknownRegionIsMissingWithTheKey) {
  const auto unset = metrics::find_carbon_intensity({});
  EXPECT_TRUE(unset.factors.empty());
  EXPECT_THAT(unset.problem, HasSubstr("resources.grams_per_kwh"));
  const auto estimate = metrics::estimate_carbon(one_kwh(), unset);
  EXPECT_EQ(estimate.low_grams.provenance, Provenance::kMissing);
  EXPECT_THAT(estimate.high_grams.note, HasSubstr("resources.region"));
  EXPECT_THAT(metrics::find_carbon_intensity(in_region("moon1")).problem, HasSubstr("'moon1'"));
}

TEST(Carbon, StatedValueReplacesTheTables) {
  CarbonOptions options = in_region("westus2");
  options.grams_per_kwh = 42.0;
  options.pue = 1.5;
  const auto intensity = metrics::find_carbon_intensity(options);
  const auto estimate = metrics::estimate_carbon(one_kwh(), intensity);
  EXPECT_DOUBLE_EQ(*estimate.low_grams.value, 63.0);
  EXPECT_DOUBLE_EQ(*estimate.high_grams.value, 63.0);
  EXPECT_EQ(estimate.low_grams.source, "resources.grams_per_kwh");
}

TEST(Carbon, StatedValueWithoutPlaceHasNoPueAndSaysSo) {
  CarbonOptions options;
  options.grams_per_kwh = 100.0;
  const auto intensity = metrics::find_carbon_intensity(options);
  EXPECT_FALSE(intensity.pue.known());
  EXPECT_THAT(intensity.pue.note, HasSubstr("resources.pue"));
  EXPECT_DOUBLE_EQ(*metrics::estimate_carbon(one_kwh(), intensity).low_grams.value, 100.0);
}

TEST(Carbon, MissingEnergyHasNoGrams) {
  const auto estimate = metrics::estimate_carbon(metrics::missing("kWh", "no meter"),
                                                 metrics::find_carbon_intensity(in_region("eastus")));
  EXPECT_FALSE(estimate.low_grams.known());
  EXPECT_THAT(estimate.low_grams.note, HasSubstr("no meter"));
}

TEST(Carbon, OwnSheetReplacesThoseInside) {
  TemporaryFolder folder;
  CarbonOptions options = in_region("here");
  options.sheet_path = folder.path("grid.json");
  core::write_file(options.sheet_path,
                   R"({"name": "Mine", "year": 2026, "source": "s", "licence": "l", "method": "m",
                       "rows": [{"region": "here", "grams_co2e_per_kwh": 10, "pue": 1.1}]})");
  const auto intensity = metrics::find_carbon_intensity(options);
  EXPECT_DOUBLE_EQ(*metrics::estimate_carbon(one_kwh(), intensity).high_grams.value, 11.0);
  EXPECT_EQ(metrics::known_carbon_regions(options.sheet_path), std::vector<std::string>{"here"});
  core::write_file(options.sheet_path, R"({"rows": [{"region": "here", "pue": 1.1}]})");
  EXPECT_THROW(metrics::find_carbon_intensity(options), core::DataError);
  options.sheet_path = folder.path("none.json");
  EXPECT_THROW(metrics::find_carbon_intensity(options), core::DataError);
}

TEST(Carbon, ListsTheRegionsThatATableKnows) {
  const auto regions = metrics::known_carbon_regions();
  EXPECT_THAT(regions, Contains("swedencentral"));
  EXPECT_EQ(regions.size(), 27u);
}

CostOptions machine(const std::string& size, const std::string& region, const std::string& priority = "dedicated") {
  CostOptions options;
  options.vm_size = size;
  options.region = region;
  options.priority = priority;
  return options;
}

TEST(Cost, TablePriceIsOfTheWholeMachine) {
  const Figure price = metrics::find_price(machine("Standard_ND96isr_H100_v5", "eastus"));
  EXPECT_DOUBLE_EQ(*price.value, 98.32);
  EXPECT_EQ(*price.year, 2026);
  EXPECT_DOUBLE_EQ(*metrics::estimate_cost(1800, price, 2).value, 98.32);
  EXPECT_EQ(metrics::estimate_cost(1800, price, 2).unit, "USD");
}

TEST(Cost, LowPriorityHasItsOwnPriceAndSaysWhenItIsComputed) {
  const Figure published = metrics::find_price(machine("Standard_NC24ads_A100_v4", "eastus", "low_priority"));
  EXPECT_DOUBLE_EQ(*published.value, 0.735);
  EXPECT_EQ(published.note, "");
  const Figure computed = metrics::find_price(machine("Standard_ND40rs_v2", "westus2", "low_priority"));
  EXPECT_DOUBLE_EQ(*computed.value, 4.4064);
  EXPECT_THAT(computed.note, HasSubstr("20 % of list"));
  EXPECT_THROW(metrics::find_price(machine("x", "y", "spot")), core::UserError);
}

TEST(Cost, NeverTakesAnotherRegionsPrice) {
  const Figure price = metrics::find_price(machine("Standard_NC24ads_A100_v4", "northeurope"));
  EXPECT_FALSE(price.known());
  EXPECT_THAT(price.note, HasSubstr("eastus, southcentralus, westus3"));
  EXPECT_THAT(price.note, HasSubstr("resources.usd_per_hour"));
}

TEST(Cost, UnsetOrUnknownMachineIsMissingWithTheKey) {
  EXPECT_THAT(metrics::find_price({}).note, HasSubstr("resources.vm_size"));
  EXPECT_THAT(metrics::find_price(machine("Standard_Z1", "eastus")).note, HasSubstr("'Standard_Z1'"));
  EXPECT_FALSE(metrics::estimate_cost(10, metrics::find_price({}), 1).known());
}

TEST(Cost, StatedPriceReplacesTheTable) {
  CostOptions options = machine("Standard_ND40rs_v2", "westus2");
  options.usd_per_hour = 3.0;
  EXPECT_DOUBLE_EQ(*metrics::find_price(options).value, 3.0);
  EXPECT_EQ(metrics::find_price(options).source, "resources.usd_per_hour");
  EXPECT_THAT(metrics::known_vm_sizes(), Contains("Standard_NC40ads_H100_v5"));
}

TEST(DevicePeak, LongestNameDecides) {
  metrics::DevicePeakOptions options;
  options.device_name = "NVIDIA H100 80GB HBM3";
  EXPECT_DOUBLE_EQ(*metrics::find_device_peak(options).value, 989.4);
  options.device_name = "NVIDIA H200 NVL";
  EXPECT_DOUBLE_EQ(*metrics::find_device_peak(options).value, 835.5);
  options.device_name = "NVIDIA A100-SXM4-80GB";
  options.precision = "fp32";
  EXPECT_DOUBLE_EQ(*metrics::find_device_peak(options).value, 19.5);
}

TEST(DevicePeak, UnknownDeviceOrTypeIsMissingAndTheStatedPeakCounts) {
  metrics::DevicePeakOptions options;
  EXPECT_THAT(metrics::find_device_peak(options).note, HasSubstr("resources.peak_tflops"));
  options.device_name = "Tesla V100-SXM2-16GB";
  EXPECT_FALSE(metrics::find_device_peak(options).known());  // Volta has no bf16.
  options.peak_tflops = 0.1;
  EXPECT_DOUBLE_EQ(*metrics::find_device_peak(options).value, 0.1);
}

TEST(DeviceCard, IsFoundByItsShortNameAndByTheDrivers) {
  const std::optional<metrics::DeviceCard> h100 = metrics::find_card("h100");
  ASSERT_TRUE(h100);
  EXPECT_EQ(h100->driver_name, "NVIDIA H100 80GB HBM3");
  EXPECT_EQ(h100->memory_bytes, 80000000000);
  EXPECT_DOUBLE_EQ(h100->tdp_watts, 700);
  EXPECT_EQ(metrics::find_card("NVIDIA H200 NVL")->name, "H200-NVL");
  EXPECT_EQ(metrics::find_card("NVIDIA A100-SXM4-80GB")->name, "A100-80GB");
  EXPECT_FALSE(metrics::find_card("H1000"));
  EXPECT_FALSE(metrics::find_card(""));
  EXPECT_THAT(metrics::known_cards(), Contains("T4"));
}

}  // namespace
}  // namespace txtsum::tests
