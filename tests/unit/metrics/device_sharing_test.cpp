#include "txtsum/metrics/device_sharing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "unit/metrics/ledger_fakes.h"

namespace txtsum::tests {
namespace {

using metrics::DeviceSharing;
using ::testing::HasSubstr;

constexpr char kCard[] = "00000000:3b:00.0";

TEST(CountOthers, LeavesTheRunsOwnProcessesOut) {
  EXPECT_EQ(metrics::count_others({}, {}), 0);
  EXPECT_EQ(metrics::count_others({10}, {10}), 0);
  EXPECT_EQ(metrics::count_others({10, 11, 12}, {11}), 2);
  // A rank that has not opened the card yet is not on the list.
  EXPECT_EQ(metrics::count_others({10, 12}, {10, 11}), 1);
}

TEST(CountOthers, TakesTheHostsNumbersForAsManyOfTheRunAsThereAre) {
  EXPECT_EQ(metrics::count_others({70001}, {12}), 0);
  EXPECT_EQ(metrics::count_others({70001, 70002, 70003}, {12, 13}), 1);
  EXPECT_EQ(metrics::count_others({70001}, {12, 13}), 0);
}

class DeviceSharingTest : public ::testing::Test {
 protected:
  DeviceSharing read(std::vector<uint32_t> own) {
    const auto all = metrics::read_sharing(nvml_, {{"0000:3B:00.0", std::move(own)}});
    return all.size() == 1 ? all.front() : DeviceSharing{"not one card", {}, {}, ""};
  }
  std::shared_ptr<FakeNvml> nvml_ = std::make_shared<FakeNvml>();
  FakeCard& card_ = nvml_->cards[kCard];
};

TEST_F(DeviceSharingTest, OtherProcessesAndMigAreSeen) {
  card_.processes = {{40, 41, 42}};
  card_.mig = true;
  const DeviceSharing sharing = read({41});
  EXPECT_EQ(sharing.device, std::string("Fake GPU ") + kCard);
  EXPECT_EQ(sharing.other_processes, 2);
  EXPECT_EQ(sharing.mig, true);
  EXPECT_EQ(sharing.note, "");
}

TEST_F(DeviceSharingTest, AListWithoutThisProcessOrARefusedOneIsNotKnown) {
  EXPECT_EQ(read({41}).other_processes, std::nullopt);
  EXPECT_THAT(read({41}).note, HasSubstr("not even this one"));
  card_.processes.reset();
  EXPECT_EQ(read({41}).other_processes, std::nullopt);
  EXPECT_THAT(read({41}).note, HasSubstr("Not Supported"));
}

TEST_F(DeviceSharingTest, AnIdleCardOfNoRunHasNobody) { EXPECT_EQ(read({}).other_processes, 0); }

TEST_F(DeviceSharingTest, NoNvmlAndUnknownCardsSayNothing) {
  EXPECT_TRUE(metrics::read_sharing(nullptr, {{kCard, {}}}).empty());
  EXPECT_TRUE(metrics::read_sharing(nvml_, {{"0000:99:00.0", {}}}).empty());
}

TEST(AddReading, KeepsTheMostOfEachCard) {
  std::vector<DeviceSharing> all;
  metrics::add_reading(all, {{"a", std::nullopt, std::nullopt, "why"}, {"b", false, 3, ""}});
  metrics::add_reading(all, {{"a", true, 1, ""}, {"b", false, 2, ""}});
  metrics::add_reading(all, {{"a", std::nullopt, std::nullopt, "why"}, {"c", false, 0, ""}});
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[0].mig, true);
  EXPECT_EQ(all[0].other_processes, 1);
  EXPECT_EQ(all[0].note, "");
  EXPECT_EQ(all[1].other_processes, 3);
  EXPECT_EQ(all[2].device, "c");
}

TEST(SharingDoubts, AreAboutOthersAndMigAlone) {
  EXPECT_TRUE(metrics::sharing_doubts({{"a", false, 0, ""}, {"b", std::nullopt, std::nullopt, "why"}}).empty());
  const auto doubts = metrics::sharing_doubts({{"a", true, 2, ""}});
  ASSERT_EQ(doubts.size(), 2u);
  EXPECT_THAT(doubts[0], HasSubstr("a: MIG is on"));
  EXPECT_THAT(doubts[1], HasSubstr("a: up to 2 other processes"));
}

}  // namespace
}  // namespace txtsum::tests
