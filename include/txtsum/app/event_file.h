#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "txtsum/core/clock.h"

namespace txtsum::app {

/// Writes one TensorBoard event file: records of `length, masked CRC-32C, protobuf Event, masked CRC-32C`, the first of
/// which names the version `brain.Event:2`. TensorBoard reads all files of a folder as one run, so every attempt of a
/// run opens a file of its own and none is ever appended to.
class EventFile {
 public:
  using Scalar = std::pair<std::string, double>;

  /// Creates `FOLDER/events.out.tfevents.<unix seconds>.<host>.<pid>.<n>` under a name that was not taken, and the
  /// folder where it is missing. `clock` stamps every event and must outlive the file. Throws DataError with path and
  /// reason.
  EventFile(const std::string& folder, const core::Clock& clock);
  ~EventFile();
  EventFile(const EventFile&) = delete;
  EventFile& operator=(const EventFile&) = delete;

  /// Says that this attempt goes on after update `step` - 1: TensorBoard hides what earlier files hold from `step` on,
  /// which is the work that was lost and is done twice. Call it first. Throws DataError when the disk refuses.
  void start_session(int64_t step);

  /// Writes `scalars` (tag and value) as one event of update `step` and hands them to the system. Values are stored as
  /// 32-bit floats, which is all the format has. Throws DataError when the disk refuses.
  void add_scalars(int64_t step, const std::vector<Scalar>& scalars);

  /// Writes `text` (Markdown) as it appears in TensorBoard's text page. Throws DataError when the disk refuses.
  void add_text(int64_t step, const std::string& tag, const std::string& text);

  const std::string& path() const { return path_; }

 private:
  void write_record(std::string_view event);

  const core::Clock& clock_;
  std::string path_;
  int fd_ = -1;
};

}  // namespace txtsum::app
