#include "txtsum/app/event_file.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <limits>

#include "support/temporary_folder.h"
#include "txtsum/core/error.h"
#include "txtsum/core/file.h"

namespace txtsum::app {
namespace {

struct FakeClock : core::Clock {
  double now = 1700000000.25;
  double monotonic_seconds() const override { return now; }
  double unix_seconds() const override { return now; }
};

/// Writes the events of scripts/reference/make_event_file.py.
void write_reference_events(EventFile& file, FakeClock& clock) {
  std::string text = "train:\n  learning_rate: 3e-05\n";
  for (int i = 0; i < 100; ++i) text += "\u00e9";
  clock.now = 1700000000.5;
  file.start_session(2);
  clock.now = 1700000001.0;
  file.add_text(0, "config", text);
  clock.now = 1700000002.5;
  file.add_scalars(1, {{"train/loss", 2.75}, {"train/learning_rate", 3e-5}});
  clock.now = 1700000003.5;
  file.add_scalars(300, {{"train/loss", 0.0}, {"eval/rougeL", -1.5}});
  clock.now = 1700000004.5;
  file.add_scalars(123456789012, {{"train/loss", std::numeric_limits<double>::infinity()}});
}

TEST(EventFile, EqualsTheBytesOfTensorBoardsWriter) {
  tests::TemporaryFolder folder;
  // Set to a folder to keep the file and open it with TensorBoard.
  const char* kept = std::getenv("TXTSUM_TEST_KEEP_EVENTS");
  FakeClock clock;
  EventFile file(kept != nullptr ? kept : folder.path("tensorboard"), clock);
  write_reference_events(file, clock);
  // Read while the file is open: nothing waits in a buffer.
  EXPECT_EQ(core::read_file(file.path()), core::read_file(TXTSUM_SOURCE_DIR "/tests/fixtures/app/events.tfevents"));
}

TEST(EventFile, OpensANewFileAtEveryAttempt) {
  tests::TemporaryFolder folder;
  FakeClock clock;
  EventFile first(folder.path(), clock);
  EventFile second(folder.path(), clock);
  EXPECT_NE(first.path(), second.path());
  EXPECT_NE(first.path().find("/events.out.tfevents.1700000000."), std::string::npos) << first.path();
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 2);
}

TEST(EventFile, NamesAFolderThatCannotBeMade) {
  FakeClock clock;
  EXPECT_THROW(EventFile("/dev/null/events", clock), core::DataError);
}

TEST(EventFile, ReportsADiskThatRefuses) {
  tests::TemporaryFolder folder;
  FakeClock clock;
  EventFile file(folder.path(), clock);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit old_limit{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &old_limit), 0);
  rlimit limit = old_limit;
  limit.rlim_cur = 64;
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
  try {
    for (int i = 0; i < 10; ++i) file.add_scalars(i, {{"train/loss", 1.0}});
    ADD_FAILURE() << "nothing was thrown";
  } catch (const core::DataError& error) {
    EXPECT_NE(std::string(error.what()).find(file.path()), std::string::npos) << error.what();
  }
  setrlimit(RLIMIT_FSIZE, &old_limit);
  std::signal(SIGXFSZ, old_handler);
}

}  // namespace
}  // namespace txtsum::app
