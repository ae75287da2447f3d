#include "txtsum/app/event_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "txtsum/core/error.h"

namespace txtsum::app {
namespace {

static_assert(std::endian::native == std::endian::little, "records are written as the machine holds them");

template <typename T>
void append_bytes(std::string& out, T value) {
  char bytes[sizeof(T)];
  std::memcpy(bytes, &value, sizeof(T));
  out.append(bytes, sizeof(T));
}

// The part of the protobuf wire format that events need. A field's key is (number << 3 | type): 0 varint, 1 eight
// bytes, 2 length and bytes, 5 four bytes.
void append_varint(std::string& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  out += static_cast<char>(value);
}

void append_varint_field(std::string& out, uint32_t number, uint64_t value) {
  append_varint(out, number << 3);
  append_varint(out, value);
}

void append_text_field(std::string& out, uint32_t number, std::string_view bytes) {
  append_varint(out, number << 3 | 2);
  append_varint(out, bytes.size());
  out += bytes;
}

/// Starts an Event: wall_time is field 1 (double), step field 2 (int64, left out at 0 as proto3 does).
std::string start_event(double wall_time_seconds, int64_t step) {
  std::string event;
  append_varint(event, 1 << 3 | 1);
  append_bytes(event, wall_time_seconds);
  if (step != 0) append_varint_field(event, 2, static_cast<uint64_t>(step));
  return event;
}

/// Summary.Value with tag (field 1) and simple_value (field 2, float).
std::string scalar_value(const std::string& tag, double number) {
  std::string value;
  append_text_field(value, 1, tag);
  append_varint(value, 2 << 3 | 5);
  append_bytes(value, static_cast<float>(number));
  return value;
}

/// Summary.Value of the text plugin: tag (1), tensor (8) of one string, metadata (9) that names the plugin.
std::string text_value(const std::string& tag, const std::string& text) {
  constexpr uint64_t kStringType = 7;  // DT_STRING
  std::string size_one;
  append_varint_field(size_one, 1, 1);
  std::string shape;
  append_text_field(shape, 2, size_one);
  std::string tensor;
  append_varint_field(tensor, 1, kStringType);
  append_text_field(tensor, 2, shape);
  append_text_field(tensor, 8, text);
  std::string plugin;
  append_text_field(plugin, 1, "text");
  std::string metadata;
  append_text_field(metadata, 1, plugin);
  std::string value;
  append_text_field(value, 1, tag);
  append_text_field(value, 8, tensor);
  append_text_field(value, 9, metadata);
  return value;
}

constexpr std::array<uint32_t, 256> make_crc_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82F63B78u : 0);
    table[i] = crc;
  }
  return table;
}

/// CRC-32C of `bytes`, rotated and offset as TFRecord files do, so that a checksum of checksums stays useful.
uint32_t masked_crc32c(std::string_view bytes) {
  static constexpr std::array<uint32_t, 256> kTable = make_crc_table();
  uint32_t crc = 0xFFFFFFFFu;
  for (const char byte : bytes) crc = (crc >> 8) ^ kTable[(crc ^ static_cast<uint8_t>(byte)) & 0xFF];
  crc = ~crc;
  return ((crc >> 15) | (crc << 17)) + 0xA282EAD8u;
}

std::string host_name() {
  char name[256] = {};
  if (::gethostname(name, sizeof name - 1) != 0 || name[0] == '\0') return "localhost";
  return name;
}

}  // namespace

EventFile::EventFile(const std::string& folder, const core::Clock& clock) : clock_(clock) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) throw core::DataError(folder + ": cannot create the folder of event files: " + error.message());
  char seconds[32];
  std::snprintf(seconds, sizeof seconds, "%010lld", static_cast<long long>(std::floor(clock.unix_seconds())));
  const std::string stem =
      folder + "/events.out.tfevents." + seconds + "." + host_name() + "." + std::to_string(::getpid()) + ".";
  // A container's process has the same number at every attempt, so the name may be taken.
  for (int n = 0; fd_ < 0; ++n) {
    path_ = stem + std::to_string(n);
    fd_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd_ < 0 && errno != EEXIST) throw core::DataError(path_ + ": cannot create: " + std::strerror(errno));
  }
  std::string event = start_event(clock.unix_seconds(), 0);
  append_text_field(event, 3, "brain.Event:2");
  write_record(event);
}

EventFile::~EventFile() {
  if (fd_ >= 0) ::close(fd_);
}

void EventFile::start_session(int64_t step) {
  std::string session_log;
  append_varint_field(session_log, 1, 1);  // status START
  std::string event = start_event(clock_.unix_seconds(), step);
  append_text_field(event, 7, session_log);
  write_record(event);
}

void EventFile::add_scalars(int64_t step, const std::vector<Scalar>& scalars) {
  if (scalars.empty()) return;
  std::string summary;
  for (const auto& [tag, value] : scalars) append_text_field(summary, 1, scalar_value(tag, value));
  std::string event = start_event(clock_.unix_seconds(), step);
  append_text_field(event, 5, summary);
  write_record(event);
}

void EventFile::add_text(int64_t step, const std::string& tag, const std::string& text) {
  std::string summary;
  append_text_field(summary, 1, text_value(tag, text));
  std::string event = start_event(clock_.unix_seconds(), step);
  append_text_field(event, 5, summary);
  write_record(event);
}

void EventFile::write_record(std::string_view event) {
  std::string record;
  append_bytes(record, static_cast<uint64_t>(event.size()));
  append_bytes(record, masked_crc32c(record));
  record += event;
  append_bytes(record, masked_crc32c(event));
  // Unbuffered: what was written survives the process, and a reader sees whole records.
  for (std::string_view rest = record; !rest.empty();) {
    const ssize_t n = ::write(fd_, rest.data(), rest.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw core::DataError(path_ + ": cannot write: " + std::strerror(errno));
    rest.remove_prefix(static_cast<size_t>(n));
  }
}

}  // namespace txtsum::app
