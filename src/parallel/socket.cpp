#include "socket.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <stdexcept>
#include <thread>
#include <utility>

#include "txtsum/core/clock.h"
#include "txtsum/core/stop_signal.h"

namespace txtsum::parallel {
namespace {

constexpr double kRetrySeconds = 0.05;
/// How soon a stop is noticed.
constexpr double kStopSeconds = 0.1;

[[noreturn]] void fail(const std::string& what) { throw std::runtime_error(what + ": " + std::strerror(errno)); }

/// Waits for `events` until `deadline`; whether one came.
bool wait_for(int descriptor, short events, double deadline) {
  pollfd watched{descriptor, events, 0};
  const double left = deadline - core::system_clock().monotonic_seconds();
  const int count = ::poll(&watched, 1, static_cast<int>(std::clamp(left, 0.0, 1e6) * 1000));
  return count > 0 || (count < 0 && errno == EINTR && left > 0);
}

/// The same, in steps: false also when the process is asked to stop.
bool wait_unless_stopped(int descriptor, short events, double deadline) {
  while (core::stop_signal() == 0) {
    const double step = std::min(deadline, core::system_clock().monotonic_seconds() + kStopSeconds);
    if (wait_for(descriptor, events, step)) return true;
    if (step == deadline) return false;
  }
  return false;
}

Socket open_socket(int family) {
  const int descriptor = ::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (descriptor < 0) fail("socket");
  return Socket(descriptor);
}

}  // namespace

Socket::Socket(int descriptor) : descriptor_(descriptor) {
  // Small exchanges wait for each other: none may wait for more to send.
  const int on = 1;
  ::setsockopt(descriptor_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

Socket::~Socket() {
  if (is_open()) ::close(descriptor_);
}

Socket::Socket(Socket&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}

Socket& Socket::operator=(Socket&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

size_t Socket::send_some(const void* bytes, size_t length) {
  const ssize_t sent = ::send(descriptor_, bytes, length, MSG_NOSIGNAL);
  if (sent >= 0) return static_cast<size_t>(sent);
  if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return 0;
  fail("send");
}

int64_t Socket::receive_some(void* bytes, size_t length) {
  const ssize_t received = ::recv(descriptor_, bytes, length, 0);
  if (received > 0) return received;
  if (received == 0 || errno == ECONNRESET) return -1;
  if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return 0;
  fail("recv");
}

bool Socket::send_all(const void* bytes, size_t length, double deadline) {
  const char* at = static_cast<const char*>(bytes);
  while (length > 0) {
    if (!wait_for(descriptor_, POLLOUT, deadline)) return false;
    const size_t sent = send_some(at, length);
    at += sent;
    length -= sent;
  }
  return true;
}

bool Socket::receive_all(void* bytes, size_t length, double deadline) {
  char* at = static_cast<char*>(bytes);
  while (length > 0) {
    if (!wait_for(descriptor_, POLLIN, deadline)) return false;
    const int64_t received = receive_some(at, length);
    if (received < 0) return false;
    at += received;
    length -= static_cast<size_t>(received);
  }
  return true;
}

void Socket::end_sending() { ::shutdown(descriptor_, SHUT_WR); }

bool SocketAddress::is_loopback() const {
  if (storage.ss_family == AF_INET6) {
    return IN6_IS_ADDR_LOOPBACK(&reinterpret_cast<const sockaddr_in6*>(&storage)->sin6_addr);
  }
  return (ntohl(reinterpret_cast<const sockaddr_in*>(&storage)->sin_addr.s_addr) >> 24) == 127;
}

SocketAddress SocketAddress::listening(int64_t port, bool this_machine_alone) const {
  SocketAddress result;
  result.length = length;
  result.storage.ss_family = storage.ss_family;
  if (storage.ss_family == AF_INET6) {
    reinterpret_cast<sockaddr_in6*>(&result.storage)->sin6_addr = this_machine_alone ? in6addr_loopback : in6addr_any;
  } else {
    reinterpret_cast<sockaddr_in*>(&result.storage)->sin_addr.s_addr =
        htonl(this_machine_alone ? INADDR_LOOPBACK : INADDR_ANY);
  }
  return result.with_port(port);
}

SocketAddress SocketAddress::with_port(int64_t port) const {
  SocketAddress result = *this;
  const uint16_t number = htons(static_cast<uint16_t>(port));
  if (storage.ss_family == AF_INET6) {
    reinterpret_cast<sockaddr_in6*>(&result.storage)->sin6_port = number;
  } else {
    reinterpret_cast<sockaddr_in*>(&result.storage)->sin_port = number;
  }
  return result;
}

int64_t SocketAddress::port() const {
  return ntohs(storage.ss_family == AF_INET6 ? reinterpret_cast<const sockaddr_in6*>(&storage)->sin6_port
                                             : reinterpret_cast<const sockaddr_in*>(&storage)->sin_port);
}

SocketAddress resolve(const std::string& host, int64_t port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int problem = ::getaddrinfo(host.c_str(), nullptr, &hints, &found);
  if (problem != 0) throw std::runtime_error("the host " + host + " is not known: " + ::gai_strerror(problem));
  SocketAddress address;
  std::memcpy(&address.storage, found->ai_addr, found->ai_addrlen);
  address.length = found->ai_addrlen;
  ::freeaddrinfo(found);
  return address.with_port(port);
}

Socket listen_at(const SocketAddress& address, int64_t most_waiting) {
  Socket listener = open_socket(address.storage.ss_family);
  // A run may follow another at the same port at once.
  const int on = 1;
  ::setsockopt(listener.descriptor(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::bind(listener.descriptor(), reinterpret_cast<const sockaddr*>(&address.storage), address.length) != 0 ||
      ::listen(listener.descriptor(), static_cast<int>(most_waiting)) != 0) {
    fail("listen at port " + std::to_string(address.port()));
  }
  return listener;
}

Socket accept_until(const Socket& listener, double deadline) {
  while (wait_unless_stopped(listener.descriptor(), POLLIN, deadline)) {
    const int descriptor = ::accept4(listener.descriptor(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (descriptor >= 0) return Socket(descriptor);
    if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) fail("accept");
  }
  return {};
}

Socket connect_until(const SocketAddress& address, double deadline, std::string& problem) {
  while (true) {
    Socket socket = open_socket(address.storage.ss_family);
    int error = 0;
    if (::connect(socket.descriptor(), reinterpret_cast<const sockaddr*>(&address.storage), address.length) != 0) {
      error = errno;
    }
    if (error == EINPROGRESS) {
      error = ETIMEDOUT;
      socklen_t length = sizeof error;
      if (wait_unless_stopped(socket.descriptor(), POLLOUT, deadline)) {
        ::getsockopt(socket.descriptor(), SOL_SOCKET, SO_ERROR, &error, &length);
      }
    }
    if (error == 0) return socket;
    problem = std::strerror(error);
    if (core::system_clock().monotonic_seconds() + kRetrySeconds > deadline || core::stop_signal() != 0) return {};
    std::this_thread::sleep_for(std::chrono::duration<double>(kRetrySeconds));
  }
}

bool readable_until(const Socket& socket, double deadline) {
  return wait_unless_stopped(socket.descriptor(), POLLIN, deadline);
}

SocketAddress own_address(const Socket& socket) {
  SocketAddress address;
  address.length = sizeof address.storage;
  if (::getsockname(socket.descriptor(), reinterpret_cast<sockaddr*>(&address.storage), &address.length) != 0) {
    fail("getsockname");
  }
  return address;
}

SocketAddress peer_address(const Socket& socket) {
  SocketAddress address;
  address.length = sizeof address.storage;
  if (::getpeername(socket.descriptor(), reinterpret_cast<sockaddr*>(&address.storage), &address.length) != 0) {
    fail("getpeername");
  }
  return address;
}

}  // namespace txtsum::parallel
