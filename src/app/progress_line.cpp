#include "txtsum/app/progress_line.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <utility>
#include <vector>

#include "txtsum/app/table.h"
#include "txtsum/core/log.h"

namespace txtsum::app {
namespace {

constexpr double kRateWindowSeconds = 30;
constexpr double kMeasureSeconds = 0.5;
constexpr const char* kWipe = "\r\x1b[K";

// Guards the list and every drawing, so that a log line of another thread cannot land inside a bar.
std::recursive_mutex& drawing_mutex() {
  static std::recursive_mutex mutex;
  return mutex;
}

std::vector<ProgressLine*>& active_lines() {
  static std::vector<ProgressLine*> lines;
  return lines;
}

std::string format_rate(double rate, const std::string& unit) {
  char text[64];
  if (rate <= 0) return "";
  if (rate >= 100) {
    std::snprintf(text, sizeof text, "%.0f ", rate);
  } else if (rate >= 1) {
    std::snprintf(text, sizeof text, "%.1f ", rate);
  } else {
    std::snprintf(text, sizeof text, "%.2f ", rate);
  }
  return text + unit + "/s";
}

/// The first `width` code points of `text`.
std::string clip(const std::string& text, size_t width) {
  size_t end = 0;
  for (size_t shown = 0; end < text.size(); ++end) {
    if ((static_cast<unsigned char>(text[end]) & 0xC0) != 0x80 && ++shown > width) break;
  }
  return text.substr(0, end);
}

int terminal_columns() {
  winsize size{};
  constexpr int kDefaultColumns = 80;
  return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : kDefaultColumns;
}

}  // namespace

ProgressTarget stderr_progress_target() {
  ProgressTarget target;
  const char* terminal = std::getenv("TERM");
  target.is_terminal = ::isatty(STDERR_FILENO) == 1 && terminal != nullptr && std::string_view(terminal) != "dumb";
  if (target.is_terminal) target.columns = terminal_columns();
  target.write = [](std::string_view text) {
    std::fwrite(text.data(), 1, text.size(), stderr);
    std::fflush(stderr);
  };
  target.write_line = [](std::string_view line) { core::log_info(line); };
  return target;
}

ProgressLine::ProgressLine(std::string label, std::string unit, int64_t total, const core::Clock& clock,
                           ProgressTarget target)
    : label_(std::move(label)),
      unit_(std::move(unit)),
      total_(total),
      clock_(clock),
      target_(std::move(target)),
      start_seconds_(clock.monotonic_seconds()),
      last_drawn_seconds_(start_seconds_),
      last_measured_seconds_(start_seconds_) {
  const std::lock_guard lock(drawing_mutex());
  active_lines().push_back(this);
}

ProgressLine::~ProgressLine() {
  hide();
  const std::lock_guard lock(drawing_mutex());
  std::erase(active_lines(), this);
}

void ProgressLine::start_at(int64_t done) { start_done_ = done_ = measured_done_ = done; }

void ProgressLine::measure(double now) {
  const double elapsed = now - last_measured_seconds_;
  if (elapsed < kMeasureSeconds) return;
  const double current = static_cast<double>(done_ - measured_done_) / elapsed;
  // Until a window has passed the mean since the start is the better estimate; after it, an exponential mean.
  const double since_start = now - start_seconds_;
  if (since_start < kRateWindowSeconds || rate_ == 0) {
    rate_ = static_cast<double>(done_ - start_done_) / since_start;
  } else {
    const double weight = 1 - std::exp(-elapsed / kRateWindowSeconds);
    rate_ += weight * (current - rate_);
  }
  last_measured_seconds_ = now;
  measured_done_ = done_;
}

void ProgressLine::update(int64_t done, std::string_view note) {
  if (is_finished_) return;
  done_ = done;
  note_ = note;
  const double now = clock_.monotonic_seconds();
  measure(now);
  const double period = target_.is_terminal ? target_.redraw_seconds : target_.plain_line_seconds;
  if (now - last_drawn_seconds_ < period) return;
  last_drawn_seconds_ = now;
  if (!target_.is_terminal) {
    target_.write_line(describe(/*finished=*/false));
    return;
  }
  const std::lock_guard lock(drawing_mutex());
  is_visible_ = true;
  target_.write(std::string(kWipe) + bar());
}

void ProgressLine::finish() {
  if (is_finished_) return;
  is_finished_ = true;
  hide();
  target_.write_line(describe(/*finished=*/true));
}

void ProgressLine::hide() {
  const std::lock_guard lock(drawing_mutex());
  if (!is_visible_) return;
  is_visible_ = false;
  target_.write(kWipe);
}

std::string ProgressLine::describe(bool finished) const {
  std::string text = label_ + " " + with_separators(done_);
  if (total_ > 0) text.append("/").append(with_separators(total_));
  text += " " + unit_;
  const double elapsed = clock_.monotonic_seconds() - start_seconds_;
  if (finished) {
    text.append(" in ").append(format_duration(elapsed));
    const std::string rate = elapsed > 0 ? format_rate(static_cast<double>(done_ - start_done_) / elapsed, unit_) : "";
    if (!rate.empty()) text += ", " + rate;
  } else {
    if (const std::string rate = format_rate(rate_, unit_); !rate.empty()) text += ", " + rate;
    if (total_ > 0 && rate_ > 0) {
      const double left_seconds = static_cast<double>(std::max<int64_t>(total_ - done_, 0)) / rate_;
      text.append(", ").append(format_duration(left_seconds)).append(" left");
    }
  }
  if (!note_.empty()) text += ", " + note_;
  return text;
}

std::string ProgressLine::bar() const {
  constexpr int kWidestBar = 30;
  constexpr int kNarrowestBar = 8;
  // The last column stays free: a terminal may wrap when it is written.
  const size_t columns = static_cast<size_t>(std::max(target_.columns - 1, 1));
  const std::string text = describe(/*finished=*/false);
  const int room = static_cast<int>(columns) - static_cast<int>(display_width(text)) - 8;
  if (total_ <= 0 || room < kNarrowestBar) return clip(text, columns);
  const double share = std::clamp(static_cast<double>(done_) / static_cast<double>(total_), 0.0, 1.0);
  const int width = std::min(room, kWidestBar);
  const int filled = static_cast<int>(share * width);
  char percent[8];
  std::snprintf(percent, sizeof percent, "%3d%%", static_cast<int>(share * 100));
  std::string line = "[";
  line.append(static_cast<size_t>(filled), '#').append(static_cast<size_t>(width - filled), '.');
  return line + "] " + percent + " " + text;
}

void hide_progress_lines() {
  const std::lock_guard lock(drawing_mutex());
  for (ProgressLine* line : active_lines()) line->hide();
}

}  // namespace txtsum::app
