#include "txtsum/metrics/attempt_record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/temporary_folder.h"
#include "txtsum/core/error.h"
#include "txtsum/core/file.h"

namespace txtsum::tests {
namespace {

using metrics::AttemptRecord;
using metrics::Phase;
using ::testing::HasSubstr;

AttemptRecord attempt(int number, int64_t resumed_from, int64_t last_update, double train_seconds, double joules) {
  AttemptRecord record;
  record.attempt = number;
  record.resumed_from_update = resumed_from;
  record.last_update = last_update;
  record.meters = {{metrics::EnergyComponent::kCpu, metrics::Provenance::kModelled, "source", "note"}};
  for (auto& phase : record.phases) phase.joules = {0.0};
  record.phase(Phase::kTrain).seconds = train_seconds;
  record.phase(Phase::kTrain).joules = {joules};
  return record;
}

TEST(AttemptRecord, SurvivesItsFile) {
  AttemptRecord record = attempt(3, 10, 20, 5.5, 7.25);
  record.outcome = "stopped by signal 15";
  record.host_name = "node";
  record.missing = {{metrics::EnergyComponent::kRam, "why"}};
  record.idle = {{metrics::EnergyComponent::kCpu, 31.5, 1.0, "RAPL"}};
  record.sharing = {{"card", true, 2, ""}, {"other card", std::nullopt, std::nullopt, "why"}};
  record.phase(Phase::kTrain).peak_watts = 99;
  record.phase(Phase::kTrain).work = {1, 2, 3, 4, 5, 6e18};
  record.phase(Phase::kSave).peak_host_rss_bytes = int64_t{1} << 40;
  const core::Json json = metrics::to_json(record);
  const AttemptRecord read = metrics::attempt_from_json(json, "path");
  EXPECT_EQ(metrics::to_json(read), json);
  EXPECT_EQ(*read.phase(Phase::kSave).peak_host_rss_bytes, int64_t{1} << 40);
  EXPECT_FALSE(read.phase(Phase::kLoad).peak_watts.has_value());
  EXPECT_DOUBLE_EQ(read.idle.at(0).watts, 31.5);
  EXPECT_EQ(read.sharing.at(0).other_processes, 2);
  EXPECT_FALSE(read.sharing.at(1).mig.has_value());
}

TEST(AttemptRecord, OfAnEarlierVersionKnowsNothingOfItsSurroundings) {
  core::Json json = metrics::to_json(attempt(1, 0, 5, 1, 1));
  json.erase("idle");
  json.erase("sharing");
  const AttemptRecord read = metrics::attempt_from_json(json, "path");
  EXPECT_TRUE(read.idle.empty());
  EXPECT_TRUE(read.sharing.empty());
}

std::vector<size_t> places_cut_short(const std::vector<AttemptRecord>& attempts) {
  std::vector<size_t> places;
  for (const metrics::CutShort& found : metrics::attempts_cut_short(attempts)) places.push_back(found.place);
  return places;
}

TEST(CutShort, IsWhoNeverSaidHowItEndedAndHasASuccessor) {
  std::vector<AttemptRecord> attempts{attempt(1, 0, 10, 1, 1), attempt(2, 5, 20, 1, 1), attempt(3, 20, 30, 1, 1)};
  EXPECT_EQ(places_cut_short(attempts), (std::vector<size_t>{0, 1}));
  attempts[1].outcome = "stopped by signal 15";
  EXPECT_EQ(places_cut_short(attempts), (std::vector<size_t>{0}));
  // The newest one may still run.
  EXPECT_TRUE(places_cut_short({attempts[0]}).empty());
  EXPECT_TRUE(places_cut_short({}).empty());
}

TEST(CutShort, IsWhoFailedAndCouldNotWriteItsEndEvenAsTheNewest) {
  std::vector<AttemptRecord> attempts{attempt(1, 0, 10, 1, 1)};
  attempts[0].outcome = "failed: of a reason";
  EXPECT_TRUE(places_cut_short(attempts).empty());
  attempts[0].outcome = metrics::kFailed;
  EXPECT_EQ(places_cut_short(attempts), (std::vector<size_t>{0}));
}

TEST(MarkFailed, ChangesTheOutcomeAloneAndWhatIsNoRecordNotAtAll) {
  const TemporaryFolder folder;
  const std::string path = folder.path("attempt-0001.json");
  AttemptRecord record = attempt(1, 0, 5, 1, 1);
  for (const char* outcome : {metrics::kRunning, "finished", "stopped by signal 15"}) {
    record.outcome = outcome;
    core::write_file(path, core::to_pretty_text(metrics::to_json(record)));
    EXPECT_TRUE(metrics::mark_failed(path)) << outcome;
    core::Json wanted = metrics::to_json(record);
    wanted["outcome"] = metrics::kFailed;
    EXPECT_EQ(core::read_json_file(path), wanted) << outcome;
  }
  core::write_file(path, "{\"outcome\": \"");
  EXPECT_FALSE(metrics::mark_failed(path));
  EXPECT_EQ(core::read_file(path), "{\"outcome\": \"");
  EXPECT_FALSE(metrics::mark_failed(folder.path("nothing")));
}

TEST(AttemptRecord, WrongFileNamesThePathAndIsLeftOut) {
  TemporaryFolder folder;
  core::write_file(folder.path("attempt-0001.json"), core::to_pretty_text(metrics::to_json(attempt(1, 0, 5, 1, 1))));
  core::write_file(folder.path("attempt-0002.json"), "{\"attempt\": 2}");
  core::write_file(folder.path("attempt-0007.json"), "{torn");
  core::write_file(folder.path("notes.txt"), "");
  const auto files = metrics::read_attempts(folder.path());
  EXPECT_EQ(files.attempts.size(), 1u);
  ASSERT_EQ(files.unreadable.size(), 2u);
  EXPECT_THAT(files.unreadable[0], HasSubstr("attempt-0002.json: not an attempt's record"));
  EXPECT_EQ(metrics::next_attempt_number(folder.path()), 8);
  EXPECT_EQ(metrics::next_attempt_number(folder.path("none")), 1);
}

TEST(RepeatedWork, CountsUpdatesBehindWhatWasReached) {
  // Killed at 100, resumed from 80; killed at 150, resumed from 150.
  const auto repeated = metrics::repeated_work(
      {attempt(1, 0, 100, 50, 500), attempt(2, 80, 150, 35, 700), attempt(3, 150, 200, 25, 100)});
  EXPECT_EQ(repeated.updates, 20);
  EXPECT_DOUBLE_EQ(repeated.seconds, 35.0 * 20 / 70);
  EXPECT_DOUBLE_EQ(repeated.joules, 700.0 * 20 / 70);
}

TEST(RepeatedWork, AnAttemptThatDoesNotReachTheOldEndRepeatsAllItDid) {
  const auto repeated = metrics::repeated_work({attempt(1, 0, 100, 50, 500), attempt(2, 60, 70, 5, 50)});
  EXPECT_EQ(repeated.updates, 10);
  EXPECT_DOUBLE_EQ(repeated.seconds, 5);
}

TEST(RepeatedWork, IsNothingWithoutAResume) {
  EXPECT_EQ(metrics::repeated_work({attempt(1, 0, 100, 50, 500)}).updates, 0);
  EXPECT_EQ(metrics::repeated_work({attempt(1, 0, 100, 1, 1), attempt(2, 100, 100, 0, 0)}).updates, 0);
}

}  // namespace
}  // namespace txtsum::tests
