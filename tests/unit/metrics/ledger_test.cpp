#include "txtsum/metrics/ledger.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <thread>

#include "support/temporary_folder.h"
#include "txtsum/core/error.h"
#include "txtsum/metrics/run_totals.h"
#include "unit/metrics/ledger_fakes.h"

namespace txtsum::tests {
namespace {

using metrics::AttemptRecord;
using metrics::EnergyComponent;
using metrics::Ledger;
using metrics::LedgerOptions;
using metrics::MeterSet;
using metrics::Phase;
using metrics::Provenance;

class LedgerTest : public ::testing::Test {
 protected:
  LedgerTest() {
    options_.attempts_folder = folder_.path("attempts");
    options_.sample_period_seconds = 0;
    options_.proc_root = folder_.path("proc");
    options_.device_count = 2;
  }
  MeterSet meters() {
    MeterSet set;
    set.meters.push_back(std::make_unique<ScriptedMeter>(EnergyComponent::kGpu, Provenance::kMeasured, gpu_));
    set.meters.push_back(std::make_unique<ScriptedMeter>(EnergyComponent::kCpu, Provenance::kModelled, cpu_));
    set.missing.push_back({EnergyComponent::kRam, "no counter"});
    return set;
  }
  void pass(double seconds, double gpu_watts, double cpu_watts) {
    clock_.now += seconds;
    *gpu_ += seconds * gpu_watts;
    *cpu_ += seconds * cpu_watts;
  }

  TemporaryFolder folder_;
  FakeClock clock_;
  LedgerOptions options_;
  std::shared_ptr<double> gpu_ = std::make_shared<double>(1000.0);
  std::shared_ptr<double> cpu_ = std::make_shared<double>(0.0);
};

TEST_F(LedgerTest, BooksTimeAndEnergyToTheCurrentPhase) {
  Ledger ledger(options_, meters(), clock_);
  pass(2, 50, 10);
  ledger.switch_phase(Phase::kTrain);
  pass(10, 300, 40);
  ledger.switch_phase(Phase::kSave);
  pass(1, 60, 20);
  ledger.finish("finished");
  pass(100, 999, 999);  // After the end: nobody's.
  const AttemptRecord record = ledger.record();
  EXPECT_DOUBLE_EQ(record.phase(Phase::kLoad).seconds, 2);
  EXPECT_DOUBLE_EQ(record.phase(Phase::kTrain).seconds, 10);
  EXPECT_DOUBLE_EQ(record.phase(Phase::kTrain).device_seconds, 20);
  EXPECT_DOUBLE_EQ(record.phase(Phase::kTrain).joules[0], 3000);
  EXPECT_DOUBLE_EQ(record.phase(Phase::kTrain).joules[1], 400);
  EXPECT_DOUBLE_EQ(record.phase(Phase::kSave).joules[0], 60);
  EXPECT_DOUBLE_EQ(record.seconds(), 13);
}

TEST_F(LedgerTest, NestedPhaseReturnsToTheOuterOne) {
  Ledger ledger(options_, meters(), clock_);
  ledger.switch_phase(Phase::kTrain);
  pass(1, 0, 0);
  {
    const auto validate = ledger.enter(Phase::kValidate);
    pass(2, 0, 0);
    {
      const auto generate = ledger.enter(Phase::kGenerate);
      pass(4, 0, 0);
    }
    EXPECT_EQ(ledger.phase(), Phase::kValidate);
    pass(8, 0, 0);
  }
  pass(16, 0, 0);
  const AttemptRecord record = ledger.record();
  EXPECT_DOUBLE_EQ(record.phase(Phase::kTrain).seconds, 17);
  EXPECT_DOUBLE_EQ(record.phase(Phase::kValidate).seconds, 10);
  EXPECT_DOUBLE_EQ(record.phase(Phase::kGenerate).seconds, 4);
}

TEST_F(LedgerTest, DeviceIsSynchronizedBeforeAPhaseEndsButNotWhileAnErrorPasses) {
  int calls = 0;
  options_.synchronize_device = [&] { ++calls; };
  Ledger ledger(options_, meters(), clock_);
  try {
    const auto scope = ledger.enter(Phase::kTrain);
    EXPECT_EQ(calls, 1);
    throw std::runtime_error("device lost");
  } catch (const std::runtime_error&) {
  }
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(ledger.phase(), Phase::kLoad);
}

TEST_F(LedgerTest, AFailureOfTheDeviceIsWrittenThoughItCannotBeSynchronized) {
  options_.synchronize_device = [] { throw std::runtime_error("device lost"); };
  Ledger ledger(options_, meters(), clock_);
  ledger.fail("failed: device lost");
  EXPECT_EQ(ledger.record().outcome, "failed: device lost");
}

TEST_F(LedgerTest, PeakPowerIsTheHighestSamplingPeriodOfThePhase) {
  Ledger ledger(options_, meters(), clock_);
  ledger.switch_phase(Phase::kTrain);
  pass(1, 100, 10);
  ledger.sample();
  pass(1, 400, 20);
  ledger.sample();
  pass(0.01, 90000, 0);  // Shorter than a counter's step: no power is derived from it.
  ledger.switch_phase(Phase::kSave);
  pass(0.05, 0, 0);
  const AttemptRecord record = ledger.record();
  EXPECT_DOUBLE_EQ(*record.phase(Phase::kTrain).peak_watts, 420);
  EXPECT_FALSE(record.phase(Phase::kSave).peak_watts.has_value());
}

TEST_F(LedgerTest, BooksUtilisationAndPeaks) {
  int64_t device_bytes = 700;
  std::optional<double> share = 0.5;
  options_.device_utilisation = [&] { return share; };
  options_.take_peak_device_bytes = [&] { return std::optional<int64_t>(std::exchange(device_bytes, 100)); };
  write_proc_stat(options_.proc_root, 0, 100);
  core::write_file(options_.proc_root + "/self/status", "VmHWM: 9 kB\nVmRSS: 5 kB\n");
  Ledger ledger(options_, meters(), clock_);
  write_proc_stat(options_.proc_root, 30, 170);
  pass(10, 0, 0);
  ledger.sample();
  core::write_file(options_.proc_root + "/self/status", "VmHWM: 9 kB\nVmRSS: 3 kB\n");
  share.reset();
  pass(10, 0, 0);
  const AttemptRecord record = ledger.record();
  const auto& load = record.phase(Phase::kLoad);
  EXPECT_DOUBLE_EQ(load.device_busy_seconds, 5);
  EXPECT_DOUBLE_EQ(load.device_observed_seconds, 10);
  EXPECT_DOUBLE_EQ(load.cpu_busy_seconds, 3);
  EXPECT_EQ(*load.peak_device_memory_bytes, 700);
  EXPECT_EQ(*load.peak_host_rss_bytes, 5 * 1024);
  EXPECT_EQ(*record.peak_host_rss_bytes, 9 * 1024);
}

TEST_F(LedgerTest, AKilledAttemptLeavesItsLastRecordAndTheNextCountsOn) {
  {
    Ledger first(options_, meters(), clock_);
    first.switch_phase(Phase::kTrain);
    first.add_work(Phase::kTrain, {.examples = 64, .updates = 4});
    pass(20, 100, 0);
    first.save();
    // Killed here: no finish. (The destructor writes once more, as an orderly exit would.)
  }
  Ledger second(options_, meters(), clock_);
  second.resume_from(3);
  second.add_work(Phase::kTrain, {.examples = 32, .updates = 2});
  second.finish("finished");
  const auto files = metrics::read_attempts(options_.attempts_folder);
  ASSERT_EQ(files.attempts.size(), 2u);
  EXPECT_EQ(files.attempts[0].outcome, "running");
  EXPECT_DOUBLE_EQ(files.attempts[0].phase(Phase::kTrain).joules[0], 2000);
  EXPECT_EQ(files.attempts[0].last_update, 4);
  EXPECT_EQ(files.attempts[1].resumed_from_update, 3);
  EXPECT_EQ(files.attempts[1].last_update, 5);
  EXPECT_EQ(files.attempts[1].outcome, "finished");
}

TEST_F(LedgerTest, AnAttemptWhoseOwnerThrowsBeforeItSaysHowItEndedHasFailed) {
  try {
    Ledger ledger(options_, meters(), clock_);
    pass(3, 100, 0);
    throw core::DataError("config.yaml: cannot write");
  } catch (const core::DataError&) {
  }
  const AttemptRecord read = metrics::read_attempts(options_.attempts_folder).attempts.at(0);
  EXPECT_EQ(read.outcome.substr(0, 8), "failed: ");
  EXPECT_DOUBLE_EQ(read.phase(Phase::kLoad).joules[0], 300);
}

TEST_F(LedgerTest, AnEndThatCannotBeWrittenIsMarkedInTheRecordThatIsThere) {
  Ledger ledger(options_, meters(), clock_);
  pass(3, 100, 0);
  // As on a full disk: no new file, but what is there can be changed.
  const std::string in_the_way =
      metrics::attempt_path(options_.attempts_folder, 1) + ".tmp." + std::to_string(getpid());
  std::filesystem::create_directory(in_the_way);
  EXPECT_THROW(ledger.finish("finished"), core::DataError);
  AttemptRecord read = metrics::read_attempts(options_.attempts_folder).attempts.at(0);
  EXPECT_EQ(read.outcome, metrics::kFailed);
  EXPECT_DOUBLE_EQ(read.seconds(), 0);  // as of its last write
  EXPECT_NO_THROW(ledger.fail("failed: disk full"));
  std::filesystem::remove(in_the_way);
  ledger.fail("failed: disk full");
  read = metrics::read_attempts(options_.attempts_folder).attempts.at(0);
  EXPECT_EQ(read.outcome, "failed: disk full");
  EXPECT_DOUBLE_EQ(read.seconds(), 3);
}

TEST_F(LedgerTest, TheGapBetweenAttemptsIsNobodys) {
  {
    Ledger first(options_, meters(), clock_);
    first.switch_phase(Phase::kTrain);
    pass(20, 100, 10);
    first.save();
  }
  pass(3600, 500, 500);  // The machine does something else.
  Ledger second(options_, meters(), clock_);
  pass(1, 50, 10);
  second.switch_phase(Phase::kTrain);
  pass(4, 100, 10);
  second.finish("finished");
  const metrics::RunTotals totals = metrics::add_up(metrics::read_attempts(options_.attempts_folder));
  const auto& train = totals.phases[static_cast<size_t>(Phase::kTrain)];
  EXPECT_DOUBLE_EQ(train.seconds, 24);
  EXPECT_DOUBLE_EQ(totals.whole.seconds, 25);
  EXPECT_DOUBLE_EQ(train.joules[static_cast<size_t>(EnergyComponent::kGpu)].measured, 2400);
  EXPECT_DOUBLE_EQ(train.joules[static_cast<size_t>(EnergyComponent::kCpu)].modelled, 240);
}

TEST_F(LedgerTest, AnAttemptThatIsKilledAtOnceEndsWhereItBegan) {
  options_.sample_period_seconds = 0;
  const Ledger ledger(options_, meters(), clock_);
  const AttemptRecord read = metrics::read_attempts(options_.attempts_folder).attempts.at(0);
  EXPECT_DOUBLE_EQ(read.start_unix_seconds, clock_.unix_seconds());
  EXPECT_DOUBLE_EQ(read.end_unix_seconds, read.start_unix_seconds);
}

TEST_F(LedgerTest, KeepsWhatWasReadBeforeAndTheMostOfWhoSharesTheDevices) {
  int others = 0;
  options_.idle = {{EnergyComponent::kGpu, 70, 1, "counter"}};
  options_.device_sharing = [&] { return std::vector<metrics::DeviceSharing>{{"card", false, others, ""}}; };
  Ledger ledger(options_, meters(), clock_);
  others = 2;
  ledger.save();
  others = 1;
  ledger.finish("finished");
  const AttemptRecord read = metrics::read_attempts(options_.attempts_folder).attempts.at(0);
  EXPECT_EQ(read.sharing.at(0).other_processes, 2);
  EXPECT_DOUBLE_EQ(read.idle.at(0).watts, 70);
  EXPECT_DOUBLE_EQ(read.phase(Phase::kLoad).joules[0], 0);
}

TEST_F(LedgerTest, ThreadSamplesAndWritesByItself) {
  options_.sample_period_seconds = 0.01;
  options_.write_period_seconds = 0;
  std::atomic<int> samples{0};
  options_.device_utilisation = [&]() -> std::optional<double> {
    ++samples;
    return 1.0;
  };
  Ledger ledger(options_, meters());
  ledger.add_work(Phase::kTrain, {.updates = 7});
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  int64_t written = 0;
  while ((samples < 3 || written != 7) && std::chrono::steady_clock::now() < limit) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    written = metrics::read_attempts(options_.attempts_folder).attempts.at(0).last_update;
  }
  EXPECT_GE(samples, 3);
  EXPECT_EQ(written, 7);
}

TEST_F(LedgerTest, FolderThatCannotBeWrittenIsAnErrorAtTheStart) {
  core::write_file(folder_.path("file"), "x");
  options_.attempts_folder = folder_.path("file");
  EXPECT_THROW(Ledger(options_, meters(), clock_), core::DataError);
}

TEST_F(LedgerTest, PeriodicWriteThatFailsIsCountedAndTriedAgain) {
  options_.sample_period_seconds = 0.01;
  options_.write_period_seconds = 0;
  Ledger ledger(options_, meters());
  // The thread makes the folder again as long as it can: put a file in its place until that holds.
  for (bool in_the_way = false; !in_the_way; in_the_way = std::filesystem::is_regular_file(options_.attempts_folder)) {
    std::error_code ignored;
    std::filesystem::remove_all(options_.attempts_folder, ignored);
    std::ofstream(options_.attempts_folder) << "in the way";
  }
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (ledger.record().failed_writes == 0 && std::chrono::steady_clock::now() < limit) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  EXPECT_GT(ledger.record().failed_writes, 0);
  EXPECT_THROW(ledger.save(), core::DataError);
  std::filesystem::remove(options_.attempts_folder);
  ledger.finish("finished");
  EXPECT_GT(metrics::read_attempts(options_.attempts_folder).attempts.at(0).failed_writes, 0);
}

}  // namespace
}  // namespace txtsum::tests
