#include "txtsum/core/log.h"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <memory>

#include "txtsum/core/error.h"
#include "txtsum/core/utf8.h"

namespace txtsum::core {
namespace {

constexpr const char* kPattern = "%H:%M:%S %^%L%$ %v";
constexpr const char* kFilePattern = "%Y-%m-%dT%H:%M:%S.%e%z %l %v";

spdlog::level::level_enum to_spdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

spdlog::logger& logger() {
  static const std::shared_ptr<spdlog::logger> instance = [] {
    auto sink = std::make_shared<spdlog::sinks::stderr_color_sink_mt>();
    sink->set_pattern(kPattern);
    auto made = std::make_shared<spdlog::logger>("txtsum", std::move(sink));
    made->flush_on(spdlog::level::info);
    return made;
  }();
  return *instance;
}

std::atomic<void (*)()> before_log_line{nullptr};

/// Outside the sinks' locks: the hook may write to stderr itself.
void write_line(spdlog::level::level_enum level, std::string_view text) {
  if (!logger().should_log(level)) return;
  if (auto* hook = before_log_line.load()) hook();
  logger().log(level, printable_utf8(text));  // it may quote any file
}

}  // namespace

void set_before_log_line(void (*hook)()) { before_log_line = hook; }

void start_log(LogLevel level) { logger().set_level(to_spdlog(level)); }

void add_log_file(const std::string& path) {
  try {
    auto sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(path, /*truncate=*/false);
    sink->set_pattern(kFilePattern);
    logger().sinks().push_back(std::move(sink));
  } catch (const spdlog::spdlog_ex& error) {
    throw DataError(path + ": cannot open the log file: " + error.what());
  }
}

void log_debug(std::string_view text) { write_line(spdlog::level::debug, text); }
void log_info(std::string_view text) { write_line(spdlog::level::info, text); }
void log_warning(std::string_view text) { write_line(spdlog::level::warn, text); }
void log_error(std::string_view text) { write_line(spdlog::level::err, text); }

}  // namespace txtsum::core
