#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "txtsum/core/clock.h"

namespace txtsum::app {

/// Where and how progress is shown.
struct ProgressTarget {
  bool is_terminal = false;                     ///< a bar that is redrawn in place, else one plain line now and then
  int columns = 80;                             ///< width of the terminal
  double redraw_seconds = 0.1;                  ///< least time between two drawings of the bar
  double plain_line_seconds = 30;               ///< least time between two plain lines
  std::function<void(std::string_view)> write;  ///< gets the bytes of the bar
  std::function<void(std::string_view)> write_line;  ///< gets a plain line without its newline
};

/// The process's stderr: a bar where it is a terminal (and TERM is not `dumb`), else lines of the log.
ProgressTarget stderr_progress_target();

/// Shows how far a piece of work is, at what rate, and how long it will still take. The rate is that of the last half
/// minute or so, so that the time left follows a change of speed. Not thread-safe, but for hide_progress_lines.
class ProgressLine {
 public:
  /// `label` names the work ("train"), `unit` what is counted ("updates"); `total` is 0 where the end is not known.
  /// `clock` must outlive the line.
  ProgressLine(std::string label, std::string unit, int64_t total, const core::Clock& clock,
               ProgressTarget target = stderr_progress_target());
  ~ProgressLine();
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  /// Sets where counting starts, for work that was resumed: what was done before does not count towards the rate.
  void start_at(int64_t done);

  /// Says that `done` units are finished; `note` ("loss 2.31") stands at the end of the line. Draws when it is time to.
  void update(int64_t done, std::string_view note = {});

  /// Ends the line: a bar is wiped away, and a plain line sums up count, time and rate. The destructor only wipes, so
  /// that work which an exception cut short is not summed up.
  void finish();

  /// Wipes the bar away until the next update, so that other text can be written to the terminal.
  void hide();

 private:
  std::string describe(bool finished) const;
  std::string bar() const;
  void measure(double now);

  std::string label_;
  std::string unit_;
  int64_t total_;
  const core::Clock& clock_;
  ProgressTarget target_;
  double start_seconds_;
  double last_drawn_seconds_;
  double last_measured_seconds_;
  int64_t start_done_ = 0;
  int64_t done_ = 0;
  int64_t measured_done_ = 0;
  double rate_ = 0;  // units a second, smoothed
  std::string note_;
  bool is_visible_ = false;
  bool is_finished_ = false;
};

/// Wipes every visible bar away; what writes to the terminal beside the bar (the log) calls it first. Any thread may.
void hide_progress_lines();

}  // namespace txtsum::app
