#include "txtsum/app/progress_line.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

namespace txtsum::app {
namespace {

struct FakeClock : core::Clock {
  double now = 100;
  double monotonic_seconds() const override { return now; }
  double unix_seconds() const override { return now; }
};

struct Capture {
  std::string terminal;
  std::vector<std::string> lines;
  ProgressTarget target(bool is_terminal, int columns = 100) {
    ProgressTarget made;
    made.is_terminal = is_terminal;
    made.columns = columns;
    made.write = [this](std::string_view text) { terminal += text; };
    made.write_line = [this](std::string_view line) { lines.emplace_back(line); };
    return made;
  }
};

TEST(ProgressLine, WritesPlainLinesNowAndThenWhereThereIsNoTerminal) {
  Capture out;
  FakeClock clock;
  ProgressLine line("train", "updates", 1000, clock, out.target(false));
  for (int update = 1; update <= 100; ++update) {
    clock.now += 1;
    line.update(update, "loss 2.5");
  }
  EXPECT_EQ(out.terminal, "");
  ASSERT_EQ(out.lines.size(), 3u);
  EXPECT_EQ(out.lines[0], "train 30/1,000 updates, 1.0 updates/s, 16 min 10 s left, loss 2.5");
  line.finish();
  line.finish();
  ASSERT_EQ(out.lines.size(), 4u);
  EXPECT_EQ(out.lines[3], "train 100/1,000 updates in 1 min 40 s, 1.0 updates/s, loss 2.5");
}

TEST(ProgressLine, DrawsABarInPlaceOnATerminal) {
  Capture out;
  FakeClock clock;
  ProgressLine line("train", "updates", 10, clock, out.target(true));
  clock.now += 5;
  line.update(5, "loss 2.5");
  EXPECT_EQ(out.terminal,
            "\r\x1b[K[###############...............]  50% train 5/10 updates, 1.0 updates/s, 5.0 s left, loss 2.5");
  EXPECT_TRUE(out.lines.empty());
}

TEST(ProgressLine, RedrawsAtMostTenTimesASecond) {
  Capture out;
  FakeClock clock;
  ProgressLine line("train", "updates", 100000, clock, out.target(true));
  for (int update = 1; update <= 1000; ++update) {
    clock.now += 0.001;
    line.update(update);
  }
  size_t drawn = 0;
  for (const char c : out.terminal) drawn += c == '\r' ? 1 : 0;
  EXPECT_LE(drawn, 10u);
  EXPECT_GE(drawn, 8u);
}

TEST(ProgressLine, FitsTheTerminal) {
  for (const int columns : {1, 10, 40, 79}) {
    Capture out;
    FakeClock clock;
    ProgressLine line("train", "updates", 10, clock, out.target(true, columns));
    clock.now += 5;
    line.update(5, "a note that is too long for a narrow terminal");
    EXPECT_LE(out.terminal.size() - 4, static_cast<size_t>(std::max(columns - 1, 1)));
  }
}

TEST(ProgressLine, IsWipedBeforeOtherTextAndComesBack) {
  Capture out;
  FakeClock clock;
  auto line = std::make_unique<ProgressLine>("train", "updates", 10, clock, out.target(true));
  clock.now += 1;
  line->update(1);
  out.terminal.clear();
  hide_progress_lines();
  hide_progress_lines();
  EXPECT_EQ(out.terminal, "\r\x1b[K");
  clock.now += 1;
  line->update(2);
  EXPECT_NE(out.terminal.find("2/10"), std::string::npos);
  out.terminal.clear();
  line.reset();
  EXPECT_EQ(out.terminal, "\r\x1b[K");
  EXPECT_TRUE(out.lines.empty());
}

TEST(ProgressLine, CountsFromWhereAResumedRunStarted) {
  Capture out;
  FakeClock clock;
  ProgressLine line("train", "updates", 1000, clock, out.target(false));
  line.start_at(900);
  clock.now += 50;
  line.update(950);
  EXPECT_EQ(out.lines.at(0), "train 950/1,000 updates, 1.0 updates/s, 50 s left");
}

TEST(ProgressLine, FollowsAChangeOfSpeed) {
  Capture out;
  FakeClock clock;
  ProgressLine line("train", "updates", 100000, clock, out.target(false));
  int64_t done = 0;
  for (int i = 0; i < 100; ++i) {
    clock.now += 1;
    line.update(done += 10);
  }
  for (int i = 0; i < 200; ++i) {
    clock.now += 1;
    line.update(done += 1);
  }
  EXPECT_NE(out.lines.back().find(", 1.0 updates/s"), std::string::npos) << out.lines.back();
}

TEST(ProgressLine, LeavesOutWhatIsNotKnown) {
  Capture out;
  FakeClock clock;
  ProgressLine line("read", "documents", 0, clock, out.target(false));
  clock.now += 40;
  line.update(0);
  EXPECT_EQ(out.lines.at(0), "read 0 documents");
}

}  // namespace
}  // namespace txtsum::app
