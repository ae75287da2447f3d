#include "txtsum/parallel/rank_environment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "txtsum/core/error.h"

namespace txtsum::parallel {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

using Variables = std::map<std::string, std::string>;

RankEnvironment read(const Variables& variables) {
  return read_rank_environment([&](const std::string& name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional<std::string>(found->second);
  });
}

std::string complaint(const Variables& variables) {
  try {
    read(variables);
  } catch (const core::UserError& error) {
    return error.what();
  }
  return "taken";
}

const Variables kLaunched{
    {"RANK", "5"}, {"WORLD_SIZE", "8"}, {"LOCAL_RANK", "1"}, {"MASTER_ADDR", "n0"}, {"MASTER_PORT", "29500"}};
const Variables kOpenMpi{{"OMPI_COMM_WORLD_RANK", "2"},
                         {"OMPI_COMM_WORLD_SIZE", "3"},
                         {"OMPI_COMM_WORLD_LOCAL_RANK", "0"},
                         {"OMPI_COMM_WORLD_LOCAL_SIZE", "1"}};

Variables with(Variables variables, const std::string& name, const std::string& value) {
  variables[name] = value;
  return variables;
}

Variables without(Variables variables, const std::string& name) {
  variables.erase(name);
  return variables;
}

TEST(RankEnvironment, OfNothingIsAWorldOfOne) {
  for (const Variables& variables : {Variables{}, Variables{{"WORLD_SIZE", "1"}}, Variables{{"WORLD_SIZE", ""}},
                                     Variables{{"OMPI_COMM_WORLD_SIZE", "1"}, {"OMPI_COMM_WORLD_RANK", "0"}}}) {
    const RankEnvironment found = read(variables);
    EXPECT_EQ(found.source, RankSource::kNone);
    EXPECT_EQ(found.rank, 0);
    EXPECT_EQ(found.world, 1);
  }
}

TEST(RankEnvironment, IsReadAsTorchrunAndAzureSetIt) {
  const RankEnvironment found = read(kLaunched);
  EXPECT_EQ(found.source, RankSource::kVariables);
  EXPECT_EQ(found.rank, 5);
  EXPECT_EQ(found.world, 8);
  EXPECT_EQ(found.local_rank, 1);
  EXPECT_EQ(found.local_world, 0) << "Azure ML does not say it";
  EXPECT_EQ(found.master_address, "n0");
  EXPECT_EQ(found.master_port, 29500);
  EXPECT_EQ(read(with(kLaunched, "LOCAL_WORLD_SIZE", "4")).local_world, 4);
}

TEST(RankEnvironment, IsReadAsMpirunSetsIt) {
  const RankEnvironment found = read(kOpenMpi);
  EXPECT_EQ(found.source, RankSource::kMpi);
  EXPECT_EQ(found.rank, 2);
  EXPECT_EQ(found.world, 3);
  EXPECT_EQ(found.local_rank, 0);
  EXPECT_EQ(found.local_world, 1);
  const RankEnvironment hydra = read({{"PMI_RANK", "1"}, {"PMI_SIZE", "2"}, {"MPI_LOCALRANKID", "1"}});
  EXPECT_EQ(hydra.source, RankSource::kMpi);
  EXPECT_EQ(hydra.rank, 1);
  EXPECT_EQ(hydra.local_rank, 1);
}

TEST(RankEnvironment, OfALauncherThatMpirunStartedIsTheLaunchers) {
  Variables both = kLaunched;
  both.insert({{"OMPI_COMM_WORLD_SIZE", "1"}, {"OMPI_COMM_WORLD_RANK", "0"}});
  EXPECT_EQ(read(both).source, RankSource::kVariables);
  EXPECT_EQ(read(both).world, 8);
}

TEST(RankEnvironment, ThatDisagreesIsRefused) {
  Variables both = kLaunched;
  both.insert(kOpenMpi.begin(), kOpenMpi.end());
  EXPECT_THAT(complaint(both), AllOf(HasSubstr("rank 5 of 8"), HasSubstr("rank 2 of 3"), HasSubstr("unset RANK")));
  Variables agreed = kOpenMpi;
  agreed.insert({{"RANK", "2"}, {"WORLD_SIZE", "3"}, {"LOCAL_RANK", "0"}});
  EXPECT_EQ(read(agreed).source, RankSource::kMpi);
}

TEST(RankEnvironment, ThatIsHalfSetIsRefusedByName) {
  for (const char* name : {"RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"}) {
    EXPECT_THAT(complaint(without(kLaunched, name)), AllOf(HasSubstr("WORLD_SIZE is set"), HasSubstr(name))) << name;
  }
  EXPECT_THAT(complaint(without(kLaunched, "WORLD_SIZE")), HasSubstr("RANK is set, but WORLD_SIZE is not"));
  EXPECT_THAT(complaint(without(kOpenMpi, "OMPI_COMM_WORLD_LOCAL_RANK")), HasSubstr("OMPI_COMM_WORLD_LOCAL_RANK"));
  EXPECT_THAT(complaint({{"PMI_RANK", "0"}, {"PMI_SIZE", "2"}}), HasSubstr("MPI_LOCALRANKID"));
}

TEST(RankEnvironment, OfNonsenseIsRefusedByName) {
  for (const auto& [name, value] : Variables{{"RANK", "8"},
                                             {"WORLD_SIZE", "two"},
                                             {"LOCAL_RANK", "-1"},
                                             {"MASTER_PORT", "0"},
                                             {"LOCAL_WORLD_SIZE", "9"}}) {
    EXPECT_THAT(complaint(with(kLaunched, name, value)),
                HasSubstr("environment variable " + name + " is '" + value + "': wanted a whole number from"));
  }
  EXPECT_THAT(complaint({{"WORLD_SIZE", "0"}}), HasSubstr("WORLD_SIZE is '0'"));
  EXPECT_THAT(complaint(with(kLaunched, "LOCAL_WORLD_SIZE", "1")), HasSubstr("count from 0"));
}

}  // namespace
}  // namespace txtsum::parallel
