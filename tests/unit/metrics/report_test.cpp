#include "txtsum/metrics/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <sstream>

#include "support/temporary_folder.h"
#include "txtsum/core/file.h"
#include "txtsum/metrics/emissions_csv.h"
#include "txtsum/metrics/run_totals.h"

namespace txtsum::tests {
namespace {

using core::Json;
using metrics::AttemptRecord;
using metrics::EnergyComponent;
using metrics::Phase;
using metrics::Provenance;
using ::testing::HasSubstr;

/// One hour: 1,800 s of training at 400 W (GPU, measured) and 100 W (CPU, modelled), 1,800 s of generation at 200 W and
/// 0 W.
AttemptRecord one_hour(int number, int64_t resumed_from, int64_t last_update) {
  AttemptRecord record;
  record.attempt = number;
  record.outcome = "finished";
  record.start_unix_seconds = 1.7e9;
  record.end_unix_seconds = 1.7e9 + 3600;
  record.device_name = "NVIDIA H100 80GB HBM3";
  record.resumed_from_update = resumed_from;
  record.last_update = last_update;
  record.meters = {{EnergyComponent::kGpu, Provenance::kMeasured, "NVML energy counter, card", ""},
                   {EnergyComponent::kCpu, Provenance::kModelled, "stated watts", "no RAPL"}};
  record.missing = {{EnergyComponent::kRam, "no dram counter. Set resources.ram_watts_per_gib to model it."}};
  for (auto& phase : record.phases) phase.joules = {0.0, 0.0};
  auto& train = record.phase(Phase::kTrain);
  train.seconds = train.device_seconds = 1800;
  train.joules = {400.0 * 1800, 100.0 * 1800};
  train.peak_watts = 650;
  train.device_busy_seconds = 900;
  train.device_observed_seconds = 1800;
  train.peak_device_memory_bytes = 1000;
  train.work = {3600, 360000, 36000, last_update - resumed_from, 0, 989.4e12 * 1800 * 0.25};
  auto& generate = record.phase(Phase::kGenerate);
  generate.seconds = generate.device_seconds = 1800;
  generate.joules = {200.0 * 1800, 0.0};
  generate.work = {500, 0, 0, 0, 500, 0};
  return record;
}

metrics::ReportInputs inputs() {
  metrics::ReportInputs inputs;
  inputs.run_name = "run";
  inputs.command = "train";
  inputs.command_line = "txtsum train x.yaml";
  inputs.created_unix_seconds = 1.7e9;
  inputs.quality["test"]["rouge1"] = 41.0;
  inputs.attempts.attempts = {one_hour(1, 0, 100), one_hour(2, 50, 150)};
  inputs.carbon.region = "westus2";
  inputs.cost.vm_size = "Standard_NC40ads_H100_v5";
  inputs.cost.region = "eastus";
  inputs.device_peak.device_name = "NVIDIA H100 80GB HBM3";
  return inputs;
}

TEST(Report, AddsUpTheAttempts) {
  const Json report = metrics::make_report(inputs());
  EXPECT_EQ(report.at("schema_version"), metrics::kReportSchemaVersion);
  EXPECT_EQ(report.at("warnings"), Json::array());
  EXPECT_DOUBLE_EQ(report.at("total").at("seconds").get<double>(), 7200);
  EXPECT_DOUBLE_EQ(report.at("total").at("device_hours").get<double>(), 2);
  const Json& energy = report.at("total").at("energy_kwh");
  EXPECT_DOUBLE_EQ(energy.at("gpu").at("value").get<double>(), 0.6);
  EXPECT_EQ(energy.at("gpu").at("tag"), "measured");
  EXPECT_DOUBLE_EQ(energy.at("cpu").at("value").get<double>(), 0.1);
  EXPECT_EQ(energy.at("cpu").at("tag"), "modelled");
  EXPECT_TRUE(energy.at("ram").at("value").is_null());
  EXPECT_DOUBLE_EQ(energy.at("total").at("value").get<double>(), 0.7);
  EXPECT_EQ(energy.at("total").at("tag"), "modelled");
  EXPECT_EQ(energy.at("total").at("note"), "without: ram; other");
  EXPECT_DOUBLE_EQ(energy.at("by_tag").at("measured").get<double>(), 0.6);
  EXPECT_DOUBLE_EQ(energy.at("by_tag").at("modelled").get<double>(), 0.1);
  EXPECT_EQ(report.at("attempts").size(), 2u);
}

TEST(Report, PhasesHavePowerUtilisationAndShareOfPeak) {
  const Json train = metrics::make_report(inputs()).at("phases").at("train");
  EXPECT_DOUBLE_EQ(train.at("mean_watts").at("value").get<double>(), 500);
  EXPECT_DOUBLE_EQ(train.at("peak_watts").at("value").get<double>(), 650);
  EXPECT_DOUBLE_EQ(train.at("device_utilisation").at("value").get<double>(), 0.5);
  EXPECT_EQ(train.at("cpu_utilisation").at("tag"), "missing");
  EXPECT_NEAR(train.at("share_of_peak").at("value").get<double>(), 0.25, 1e-12);
  EXPECT_EQ(train.at("work").at("examples"), 7200);
  EXPECT_DOUBLE_EQ(train.at("rates").at("examples_per_second").get<double>(), 2);
  EXPECT_DOUBLE_EQ(train.at("per_example").at("energy_wh").at("value").get<double>(), 500.0 / 7200);
  EXPECT_TRUE(train.at("per_1000_summaries").is_null());
}

TEST(Report, SummariesArePricedPerThousand) {
  const Json bill = metrics::make_report(inputs()).at("phases").at("generate").at("per_1000_summaries");
  EXPECT_DOUBLE_EQ(bill.at("seconds").get<double>(), 3600);
  EXPECT_DOUBLE_EQ(bill.at("energy_wh").at("value").get<double>(), 200);
  EXPECT_DOUBLE_EQ(bill.at("cost_usd").at("value").get<double>(), 6.98);
  EXPECT_NEAR(bill.at("carbon_grams_low").at("value").get<double>(), 0.2 * 1.15 * 119.76, 1e-9);
}

TEST(Report, CarbonAndCostSayTheirTables) {
  const Json report = metrics::make_report(inputs());
  const Json& carbon = report.at("carbon");
  EXPECT_NEAR(carbon.at("high_grams").at("value").get<double>(), 0.7 * 1.15 * 369.473, 1e-9);
  EXPECT_DOUBLE_EQ(carbon.at("facility_energy_kwh").at("value").get<double>(), 0.7 * 1.15);
  EXPECT_EQ(carbon.at("factors").size(), 3u);
  EXPECT_TRUE(carbon.at("factors")[0].contains("grams"));
  EXPECT_DOUBLE_EQ(report.at("cost").at("total_usd").at("value").get<double>(), 13.96);
  EXPECT_EQ(report.at("cost").at("usd_per_hour").at("year"), 2026);
}

TEST(Report, WorkDoneTwiceIsShown) {
  const Json twice = metrics::make_report(inputs()).at("work_done_twice");
  EXPECT_EQ(twice.at("updates"), 50);
  EXPECT_DOUBLE_EQ(twice.at("seconds").at("value").get<double>(), 900);
  EXPECT_DOUBLE_EQ(twice.at("energy_kwh").at("value").get<double>(), 0.125);
}

/// The first attempt was killed without notice, ten minutes before the second one began.
metrics::ReportInputs killed_once() {
  metrics::ReportInputs killed = inputs();
  killed.attempts.attempts[0].outcome = metrics::kRunning;
  killed.attempts.attempts[1].start_unix_seconds = killed.attempts.attempts[0].end_unix_seconds + 600;
  return killed;
}

TEST(Report, SumsOverAKilledAttemptAreLowerBoundsAndTaggedSo) {
  const Json report = metrics::make_report(killed_once());
  const Json& total = report.at("total");
  EXPECT_EQ(total.at("bound"), "lower");
  EXPECT_EQ(total.at("energy_kwh").at("total").at("bound"), "lower");
  EXPECT_EQ(total.at("energy_kwh").at("gpu").at("tag"), "measured");
  EXPECT_THAT(total.at("energy_kwh").at("gpu").at("note").get<std::string>(),
              HasSubstr("at least: counted up to its last write: attempt 1 (killed without notice)"));
  EXPECT_EQ(report.at("phases").at("train").at("cost_usd").at("bound"), "lower");
  EXPECT_EQ(report.at("carbon").at("high_grams").at("bound"), "lower");
  EXPECT_EQ(report.at("cost").at("total_usd").at("bound"), "lower");
  EXPECT_EQ(report.at("work_done_twice").at("seconds").at("bound"), "lower");
  EXPECT_EQ(report.at("attempts")[0].at("bound"), "lower");
  EXPECT_FALSE(report.at("attempts")[1].contains("bound"));
  ASSERT_EQ(report.at("doubts").size(), 1u);
  EXPECT_THAT(report.at("doubts")[0].at("reason").get<std::string>(), HasSubstr("600.0 s before the next one"));
  // The gap is in no sum.
  EXPECT_DOUBLE_EQ(total.at("seconds").get<double>(), 7200);
  EXPECT_DOUBLE_EQ(report.at("cost").at("wall_seconds").get<double>(), 7200);
}

TEST(Report, QuotientsOfWhatIsKnownAreNoBounds) {
  const Json train = metrics::make_report(killed_once()).at("phases").at("train");
  EXPECT_FALSE(train.at("mean_watts").contains("bound"));
  EXPECT_FALSE(train.at("per_example").at("energy_wh").contains("bound"));
  EXPECT_EQ(train.at("peak_watts").at("bound"), "lower");
}

TEST(Report, ARecordThatCannotBeReadMakesLowerBounds) {
  metrics::ReportInputs torn = inputs();
  torn.attempts.unreadable = {"attempt-0003.json: torn"};
  const Json report = metrics::make_report(torn);
  EXPECT_EQ(report.at("total").at("energy_kwh").at("total").at("bound"), "lower");
  EXPECT_EQ(report.at("doubts")[0].at("reason"), "attempt-0003.json: torn");
}

TEST(Report, AttemptsThatSaidHowTheyEndedAreNoBounds) {
  metrics::ReportInputs running = inputs();
  running.attempts.attempts[1].outcome = metrics::kRunning;  // This one writes the report.
  const Json report = metrics::make_report(running);
  EXPECT_TRUE(report.at("doubts").empty());
  EXPECT_FALSE(report.at("total").contains("bound"));
  EXPECT_FALSE(report.at("total").at("energy_kwh").at("total").contains("bound"));
}

TEST(Report, OthersOnTheDeviceAndMigAreFlagged) {
  metrics::ReportInputs shared = inputs();
  shared.attempts.attempts[1].sharing = {{"card", true, 3, ""}};
  const Json report = metrics::make_report(shared);
  ASSERT_EQ(report.at("doubts").size(), 2u);
  EXPECT_THAT(report.at("doubts")[0].at("what").get<std::string>(), HasSubstr("attempt 2"));
  EXPECT_THAT(report.at("doubts")[0].at("reason").get<std::string>(), HasSubstr("MIG is on"));
  EXPECT_THAT(report.at("doubts")[1].at("reason").get<std::string>(), HasSubstr("up to 3 other processes"));
  EXPECT_THAT(report.at("total").at("energy_kwh").at("gpu").at("note").get<std::string>(),
              HasSubstr("other processes were on it"));
}

TEST(Report, IdleWattsAreTheNewestAttemptsOrMissingWithTheReason) {
  metrics::ReportInputs idle = inputs();
  idle.attempts.attempts[0].idle = {{EnergyComponent::kGpu, 60, 1, "old"}};
  idle.attempts.attempts[1].idle = {{EnergyComponent::kGpu, 70, 1, "NVML energy counter, card"}};
  const Json watts = metrics::make_report(idle).at("idle_watts");
  EXPECT_DOUBLE_EQ(watts.at("gpu").at("value").get<double>(), 70);
  EXPECT_EQ(watts.at("gpu").at("tag"), "measured");
  EXPECT_EQ(watts.at("gpu").at("source"), "NVML energy counter, card");
  EXPECT_EQ(watts.at("cpu").at("tag"), "missing");
  EXPECT_EQ(watts.at("cpu").at("note"), "a model knows no idle draw");
  EXPECT_THAT(watts.at("ram").at("note").get<std::string>(), HasSubstr("no dram counter"));
  EXPECT_EQ(metrics::make_report({}).at("idle_watts").at("gpu").at("note"), "no GPU is in use");
}

TEST(Report, NothingStatedIsMissingWithKeysAndNeverZero) {
  metrics::ReportInputs bare;
  bare.attempts.attempts = {one_hour(1, 0, 10)};
  bare.attempts.attempts[0].meters.clear();
  bare.attempts.attempts[0].missing = {{EnergyComponent::kCpu, "no counter. Set resources.cpu_tdp_watts to model it."}};
  const Json report = metrics::make_report(bare);
  EXPECT_EQ(report.at("total").at("energy_kwh").at("total").at("tag"), "missing");
  EXPECT_TRUE(report.at("total").at("peak_watts").at("value").is_null());
  EXPECT_TRUE(report.at("carbon").at("low_grams").at("value").is_null());
  EXPECT_TRUE(report.at("cost").at("total_usd").at("value").is_null());
  std::string reasons;
  for (const Json& item : report.at("missing")) reasons += item.at("reason").get<std::string>() + "\n";
  for (const char* key : {"resources.cpu_tdp_watts", "resources.region", "resources.pue", "resources.usd_per_hour",
                          "resources.peak_tflops", "resources.constant_watts"}) {
    EXPECT_THAT(reasons, HasSubstr(key));
  }
}

TEST(Report, FootprintIsTheReportsTotal) {
  const auto all = inputs();
  const auto footprint =
      metrics::footprint_of(all.attempts, metrics::find_carbon_intensity(all.carbon), metrics::find_price(all.cost), 1);
  EXPECT_DOUBLE_EQ(*footprint.energy_kwh.value, 0.7);
  EXPECT_DOUBLE_EQ(*footprint.cost_usd.value, 13.96);
}

// Writes examples for a check with a JSON schema validator (docs/metrics.md) where the variable names a folder.
TEST(Report, CanBeWrittenForAValidator) {
  const char* folder = std::getenv("TXTSUM_REPORT_EXAMPLES");
  if (!folder) GTEST_SKIP() << "TXTSUM_REPORT_EXAMPLES is not set";
  core::write_file(std::string(folder) + "/full.json", core::to_pretty_text(metrics::make_report(inputs())));
  core::write_file(std::string(folder) + "/empty.json", core::to_pretty_text(metrics::make_report({})));
  metrics::ReportInputs bare;
  bare.attempts.attempts = {one_hour(1, 0, 10)};
  bare.attempts.attempts[0].meters.clear();
  bare.attempts.attempts[0].idle = {{EnergyComponent::kCpu, 30, 1, "RAPL"}};
  bare.attempts.attempts[0].sharing = {{"card", true, 1, ""}, {"other", std::nullopt, std::nullopt, "why"}};
  bare.attempts.unreadable = {"attempt-0002.json: torn"};
  core::write_file(std::string(folder) + "/killed.json", core::to_pretty_text(metrics::make_report(killed_once())));
  core::write_file(std::string(folder) + "/bare.json", core::to_pretty_text(metrics::make_report(bare)));
  metrics::EmissionsFacts facts;
  facts.run_id = "run";
  facts.cpu_model = "a, b";
  metrics::write_emissions_csv(std::string(folder) + "/emissions.csv", inputs().attempts.attempts,
                               metrics::find_carbon_intensity(inputs().carbon), facts);
}

std::vector<std::string> lines_of(const std::string& path) {
  std::vector<std::string> lines;
  std::istringstream text(core::read_file(path));
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  return lines;
}

TEST(EmissionsCsv, HasOneRowAnAttemptAndIsRewrittenInPlace) {
  TemporaryFolder folder;
  const std::string path = folder.path("emissions.csv");
  const auto intensity = metrics::find_carbon_intensity(inputs().carbon);
  metrics::EmissionsFacts facts;
  facts.run_id = "run";
  facts.cpu_model = "Model \"X\", 3 GHz";
  facts.cloud_region = "westus2";
  metrics::write_emissions_csv(path, {one_hour(1, 0, 5)}, intensity, facts);
  metrics::write_emissions_csv(path, {one_hour(1, 0, 5), one_hour(2, 5, 9)}, intensity, facts);
  const auto lines = lines_of(path);
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_THAT(lines[1], ::testing::StartsWith("2023-11-14T23:13:20,txtsum,run-attempt-0001,,3600,"));
  EXPECT_THAT(lines[1], HasSubstr("\"Model \"\"X\"\", 3 GHz\""));
  // Half a kWh-hour of GPU and CPU with PUE 1.15; RAM is unknown and stays empty.
  EXPECT_THAT(lines[1], HasSubstr(",0.0575,0.345,,0.4025,"));
  EXPECT_THAT(lines[2], HasSubstr("run-attempt-0002"));
}

TEST(EmissionsCsv, KeepsOtherRunsAndMovesOtherFormatsAway) {
  TemporaryFolder folder;
  const std::string path = folder.path("emissions.csv");
  metrics::EmissionsFacts first;
  first.run_id = "first";
  first.cpu_model = "two\nlines";
  metrics::EmissionsFacts second;
  second.run_id = "second";
  metrics::write_emissions_csv(path, {one_hour(1, 0, 5)}, {}, first);
  metrics::write_emissions_csv(path, {one_hour(1, 0, 5)}, {}, second);
  metrics::write_emissions_csv(path, {one_hour(1, 0, 5)}, {}, second);
  EXPECT_EQ(lines_of(path).size(), 4u);  // The first run's row spans two lines.
  core::write_file(path, "timestamp,duration\n1,2\n");
  metrics::write_emissions_csv(path, {one_hour(1, 0, 5)}, {}, second);
  EXPECT_EQ(lines_of(path).size(), 2u);
  EXPECT_EQ(lines_of(path + ".bak").size(), 2u);
}

}  // namespace
}  // namespace txtsum::tests
