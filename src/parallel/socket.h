#pragma once

#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <string>

namespace txtsum::parallel {

/// A TCP socket that does not block; closed at its end. Problems are std::runtime_error with the system's words.
class Socket {
 public:
  Socket() = default;
  explicit Socket(int descriptor);
  ~Socket();
  Socket(Socket&& other) noexcept;
  Socket& operator=(Socket&& other) noexcept;

  int descriptor() const { return descriptor_; }
  bool is_open() const { return descriptor_ >= 0; }

  /// Sends what fits into the system's buffer; returns how many bytes that was. Throws where the other side is gone.
  size_t send_some(const void* bytes, size_t length);
  /// Receives what is there; returns how many bytes that was, and -1 at the end of what the other side sends.
  int64_t receive_some(void* bytes, size_t length);
  /// Sends or receives all; false where that takes longer than until `deadline` (core's monotonic seconds) or the other
  /// side is gone.
  bool send_all(const void* bytes, size_t length, double deadline);
  bool receive_all(void* bytes, size_t length, double deadline);
  /// Says that nothing more will be sent.
  void end_sending();

 private:
  int descriptor_ = -1;
};

/// An address with its port.
struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;

  bool is_loopback() const;
  /// Of the same family: what a socket listens at that is to be reached from this machine alone, or from any.
  SocketAddress listening(int64_t port, bool this_machine_alone) const;
  SocketAddress with_port(int64_t port) const;
  int64_t port() const;
};

/// Looks the host up. Throws std::runtime_error.
SocketAddress resolve(const std::string& host, int64_t port);

/// Port 0: a free one. Throws std::runtime_error.
Socket listen_at(const SocketAddress& address, int64_t most_waiting);

// These end before their deadline where the process is asked to stop.

/// The next who connects; not open where nobody has by `deadline`.
Socket accept_until(const Socket& listener, double deadline);
/// Tries again until `deadline`: the other side may not be there yet. Not open where that was in vain; `problem` then
/// says why.
Socket connect_until(const SocketAddress& address, double deadline, std::string& problem);
/// Whether there is something to read by `deadline`.
bool readable_until(const Socket& socket, double deadline);

SocketAddress own_address(const Socket& socket);
SocketAddress peer_address(const Socket& socket);

}  // namespace txtsum::parallel
