#include "app/gpu_driver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace txtsum::tests {
namespace {

using app::driver_problem;
using ops::DriverFacts;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

/// A driver for CUDA `driver`, a program linked with CUDA 13.0, one GPU.
DriverFacts facts(int driver, int error = 0, int devices = 1) {
  DriverFacts facts;
  facts.driver_cuda = driver;
  facts.runtime_cuda = 13000;
  facts.error = error;
  facts.devices = devices;
  facts.problem = error == 0 ? "" : "what CUDA says";
  return facts;
}

TEST(DriverProblem, AnEqualOrNewerDriverFits) {
  EXPECT_EQ(driver_problem(facts(13000), "580.65.06"), "");
  EXPECT_EQ(driver_problem(facts(13010), "590.1"), "");
  EXPECT_EQ(driver_problem(facts(14000), "650.1"), "");
  EXPECT_EQ(driver_problem(facts(13000), ""), "");
}

TEST(DriverProblem, AnOlderDriverOfTheSameMajorCudaFits) {
  DriverFacts newer_runtime = facts(13000);
  newer_runtime.runtime_cuda = 13020;
  EXPECT_EQ(driver_problem(newer_runtime, "580.65.06"), "");
}

TEST(DriverProblem, AnOlderMajorCudaIsNamedWithTheWaysOut) {
  // 35: cudaErrorInsufficientDriver, as CUDA answers then.
  EXPECT_THAT(driver_problem(facts(12020, 35, 0), "535.183.01"),
              AllOf(HasSubstr("driver 535.183.01 serves CUDA 12.2 at most"), HasSubstr("driver 580 or newer"),
                    HasSubstr("CUDA 13.0"), HasSubstr("cuda-compat-13-0"), HasSubstr("run.device=cpu")));
  EXPECT_THAT(driver_problem(facts(12090, 35, 0), ""), HasSubstr("the NVIDIA driver serves CUDA 12.9 at most"));
}

TEST(DriverProblem, CompatibilityLibrariesSpeakForAnOlderDriver) {
  EXPECT_EQ(driver_problem(facts(13000), "535.183.01"), "");
  EXPECT_THAT(driver_problem(facts(13000, 804, 0), "535.183.01"),
              AllOf(HasSubstr("this GPU may not use them"), HasSubstr("LD_LIBRARY_PATH"), HasSubstr("535.183.01")));
  EXPECT_THAT(driver_problem(facts(13000, 803, 0), "580.1"), HasSubstr("another driver than the kernel's module"));
}

TEST(DriverProblem, NoDriverNoGpuAndOtherErrorsAreToldApart) {
  EXPECT_THAT(driver_problem(facts(0, 35, 0), ""), AllOf(HasSubstr("no NVIDIA driver"), HasSubstr("580 or newer")));
  EXPECT_THAT(driver_problem(facts(13000, 100, 0), "580.1"), HasSubstr("CUDA_VISIBLE_DEVICES"));
  EXPECT_THAT(driver_problem(facts(13000, 0, 0), "580.1"), HasSubstr("CUDA_VISIBLE_DEVICES"));
  EXPECT_THAT(driver_problem(facts(13000, 802, 0), "580.1"), HasSubstr("what CUDA says"));
}

ops::DeviceFacts card(int major, int minor) { return {"Card", "0000:01:00.0", 0, major, minor}; }

TEST(ArchitectureProblem, CodeRunsOnLaterCardsOfItsGeneration) {
  const std::string built = "75-real,80-real,90a-real";
  for (const auto& [major, minor] : {std::pair{7, 5}, {8, 0}, {8, 6}, {8, 9}, {9, 0}}) {
    EXPECT_EQ(app::architecture_problem(card(major, minor), built), "") << major << "." << minor;
  }
  EXPECT_THAT(app::architecture_problem(card(10, 0), built),
              AllOf(HasSubstr("compute capability 10.0"), HasSubstr("75, 80, 90a alone"), HasSubstr("100-real")));
  EXPECT_THAT(app::architecture_problem(card(7, 0), built), Not(IsEmpty()));
  EXPECT_THAT(app::architecture_problem(card(8, 0), "86"), Not(IsEmpty()));
  EXPECT_THAT(app::architecture_problem(card(9, 1), "90a"), Not(IsEmpty()));
  EXPECT_EQ(app::architecture_problem(card(9, 1), ""), "");
}

TEST(ArchitectureProblem, IntermediateCodeRunsOnAnyLaterCardAndNamesSayNothing) {
  EXPECT_EQ(app::architecture_problem(card(12, 0), "80-virtual"), "");
  EXPECT_EQ(app::architecture_problem(card(10, 0), "90"), "");
  EXPECT_THAT(app::architecture_problem(card(8, 9), "90"), Not(IsEmpty()));
  EXPECT_THAT(app::architecture_problem(card(10, 0), "90-real"), Not(IsEmpty()));
  EXPECT_EQ(app::architecture_problem(card(5, 2), "native"), "");
}

TEST(FusedOn, GrowsWithTheGeneration) {
  const auto text = [](int major) { return ::testing::PrintToString(app::fused_on(major)); };
  EXPECT_THAT(text(7), AllOf(HasSubstr("not fused before compute capability 8.0"), Not(HasSubstr("cuDNN"))));
  EXPECT_THAT(text(8), AllOf(HasSubstr("FlashAttention-2"), Not(HasSubstr("cuDNN"))));
  EXPECT_THAT(text(9), AllOf(HasSubstr("FlashAttention-2"), HasSubstr("cuDNN")));
}

TEST(DriverJson, SaysVersionNeedAndState) {
  EXPECT_EQ(app::driver_json(facts(13000), "580.65.06").at("state"), "fits");
  EXPECT_EQ(app::driver_json(facts(13000), "580.65.06").at("serves"), "CUDA 13.0 at most");
  EXPECT_EQ(app::driver_json(facts(13000), "580.65.06").at("needed"), "driver 580 or newer, for CUDA 13.0");
  EXPECT_THAT(app::driver_json(facts(13000), "535.1").at("state").get<std::string>(), HasSubstr("cuda-compat"));
  EXPECT_THAT(app::driver_json(facts(12020, 35, 0), "535.1").at("state").get<std::string>(),
              HasSubstr("update the driver"));
  EXPECT_THAT(app::driver_json({}, "").at("state").get<std::string>(), HasSubstr("no code for GPUs"));
  EXPECT_EQ(app::driver_json({}, "").at("version"), "not found");
}

}  // namespace
}  // namespace txtsum::tests
