#include "txtsum/train/schedule.h"

#include <gtest/gtest.h>

#include <string>

#include "txtsum/config/field.h"
#include "txtsum/core/json.h"

namespace txtsum::train {
namespace {

config::ScheduleConfig named(const std::string& name) {
  config::ScheduleConfig config;
  const auto names = config::choice_names(config.name);
  for (size_t i = 0; i < names.size(); ++i) {
    if (names[i] == name) config.name = static_cast<config::ScheduleName>(i);
  }
  EXPECT_EQ(config::name_of(config.name), name);
  return config;
}

TEST(Schedule, EqualsTransformers) {
  for (const core::Json& wanted : core::read_json_file(TXTSUM_SOURCE_DIR "/tests/fixtures/train/schedules.json")) {
    config::ScheduleConfig config = named(wanted.at("name"));
    config.warmup_updates = wanted.at("warmup_updates").get<int64_t>();
    config.minimum_share = wanted.at("minimum_share");
    const int64_t total = wanted.at("total_updates");
    const Schedule schedule(config, 1.0, total);
    for (int64_t update = 0; update < total; ++update) {
      const double share = static_cast<double>(update) / static_cast<double>(total);
      EXPECT_NEAR(schedule.learning_rate({update, share}),
                  wanted.at("factors")[static_cast<size_t>(update)].get<double>(), 1e-12)
          << core::to_line(wanted) << " at " << update;
    }
  }
}

TEST(Schedule, OverTimeIsTheSameCurveAtAnEvenPace) {
  for (const char* name : {"linear", "cosine", "constant", "inverse_sqrt"}) {
    config::ScheduleConfig config = named(name);
    config.warmup_updates = 5;
    const Schedule by_updates(config, 2.0, 40), by_time(config, 2.0, std::nullopt);
    for (int64_t update = 0; update < 40; ++update) {
      const Progress progress{update, static_cast<double>(update) / 40.0};
      EXPECT_NEAR(by_time.learning_rate(progress), by_updates.learning_rate(progress), 1e-12)
          << name << " at " << update;
    }
  }
}

TEST(Schedule, OverTimeReachesItsEndWhenTheTimeIsUp) {
  for (const char* name : {"linear", "cosine"}) {
    config::ScheduleConfig config = named(name);
    config.warmup_updates = 3;
    EXPECT_NEAR(Schedule(config, 1.0, std::nullopt).learning_rate({1000, 1.0}), 0.0, 1e-12);
    config.minimum_share = 0.2;
    EXPECT_NEAR(Schedule(config, 1.0, std::nullopt).learning_rate({1000, 1.0}), 0.2, 1e-12);
  }
}

TEST(Schedule, WarmsUpOverAShare) {
  config::ScheduleConfig config = named("linear");
  config.warmup_share = 0.1;
  // transformers rounds up: 3 of 25 updates.
  EXPECT_EQ(Schedule(config, 1.0, 25).warmup_updates(), 3);
  const Schedule by_time(config, 1.0, std::nullopt);
  EXPECT_FALSE(by_time.warmup_updates());
  EXPECT_DOUBLE_EQ(by_time.learning_rate({7, 0.05}), 0.5);
  EXPECT_DOUBLE_EQ(by_time.learning_rate({9, 0.1}), 1.0);
  EXPECT_NEAR(by_time.learning_rate({50, 0.55}), 0.5, 1e-12);
}

}  // namespace
}  // namespace txtsum::train
