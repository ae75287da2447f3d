#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace txtsum::tests {

/// One request as it arrived.
struct ReceivedRequest {
  std::string method;
  std::string target;   ///< path and query
  std::string headers;  ///< all header lines
  std::string body;
};

/// What to answer. A status of 0 means: never answer.
struct FakeAnswer {
  int status = 200;
  std::string body = "{}";
};

/// An HTTP/1.1 server on a loopback port of its own that answers by a function and keeps what it received. Serves one
/// connection at a time and closes it after each answer.
class FakeHttpServer {
 public:
  using Handler = std::function<FakeAnswer(const ReceivedRequest&)>;

  explicit FakeHttpServer(Handler handler) : handler_(std::move(handler)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(listener_, 16) != 0) return;
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }

  ~FakeHttpServer() {
    is_stopping_ = true;
    if (thread_.joinable()) thread_.join();
    ::close(listener_);
  }

  std::string url() const { return std::string("http://127.0.0.1:").append(std::to_string(port_)); }

  std::vector<ReceivedRequest> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }

 private:
  void serve() {
    while (!is_stopping_) {
      if (!is_readable(listener_)) continue;
      const int connection = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (connection < 0) continue;
      answer(connection);
      ::close(connection);
    }
  }

  static bool is_readable(int fd) {
    pollfd waited{fd, POLLIN, 0};
    return ::poll(&waited, 1, 20) > 0;
  }

  /// Appends what arrives until `text` holds at least `size` bytes (or a blank line, for 0).
  bool receive(int connection, std::string& text, size_t size) {
    const auto is_enough = [&] { return size > 0 ? text.size() >= size : text.find("\r\n\r\n") != std::string::npos; };
    while (!is_enough()) {
      if (is_stopping_) return false;
      if (!is_readable(connection)) continue;
      char buffer[4096];
      const ssize_t n = ::recv(connection, buffer, sizeof buffer, 0);
      if (n <= 0) return false;
      text.append(buffer, static_cast<size_t>(n));
    }
    return true;
  }

  void answer(int connection) {
    std::string text;
    if (!receive(connection, text, 0)) return;
    ReceivedRequest request;
    const size_t head_end = text.find("\r\n\r\n") + 4;
    request.method = text.substr(0, text.find(' '));
    const size_t target = request.method.size() + 1;
    request.target = text.substr(target, text.find(' ', target) - target);
    request.headers = text.substr(0, head_end);
    const size_t length_at = request.headers.find("Content-Length: ");
    const size_t length = length_at == std::string::npos ? 0 : std::stoul(request.headers.substr(length_at + 16));
    if (length > 0 && !receive(connection, text, head_end + length)) return;
    request.body = text.substr(head_end);
    FakeAnswer reply;
    {
      const std::lock_guard lock(mutex_);
      requests_.push_back(request);
      reply = handler_(request);
    }
    if (reply.status == 0) {
      while (!is_stopping_ && !is_readable(connection)) {
      }
      return;
    }
    const std::string out = "HTTP/1.1 " + std::to_string(reply.status) +
                            " Fake\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: " +
                            std::to_string(reply.body.size()) + "\r\n\r\n" + reply.body;
    ::send(connection, out.data(), out.size(), MSG_NOSIGNAL);
  }

  Handler handler_;
  int listener_ = -1;
  int port_ = 0;
  std::atomic<bool> is_stopping_{false};
  mutable std::mutex mutex_;
  std::vector<ReceivedRequest> requests_;
  std::thread thread_;
};

}  // namespace txtsum::tests
