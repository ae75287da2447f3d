#pragma once

#include <string>
#include <string_view>

namespace txtsum::core {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

/// Sends log lines to stderr from `level` on. Called once at start; safe to call again.
void start_log(LogLevel level);

/// Has `hook` called before each line that goes to stderr, from any thread, so that a progress bar can be wiped away
/// first. Null: none.
void set_before_log_line(void (*hook)());

/// Also appends every line to the file at `path`. Throws DataError when it cannot be opened.
void add_log_file(const std::string& path);

void log_debug(std::string_view text);
void log_info(std::string_view text);
void log_warning(std::string_view text);
void log_error(std::string_view text);

}  // namespace txtsum::core
