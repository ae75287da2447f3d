#pragma once

#include <functional>
#include <memory>
#include <string>

namespace txtsum::app {

/// One HTTP request. An empty body makes it a GET, else a POST of JSON.
struct HttpRequest {
  std::string url;
  std::string body;
  std::string token;  ///< bearer token; wins over user name and password
  std::string username;
  std::string password;
  bool verify_certificate = true;
  double connect_seconds = 5;
  double total_seconds = 15;
};

/// What came back. `status` is 0 when no answer came, and `error` says why.
struct HttpResponse {
  long status = 0;
  std::string body;
  std::string error;
};

/// Sends requests one after the other over one kept connection. Redirects are not followed, so that a token goes to the
/// named host only. Not thread-safe; never throws for what a server does.
class HttpSession {
 public:
  HttpSession();
  ~HttpSession();
  HttpSession(const HttpSession&) = delete;
  HttpSession& operator=(const HttpSession&) = delete;

  /// Sends `request` and waits. `should_stop` is asked about once a second and ends the wait when it says so.
  HttpResponse send(const HttpRequest& request, const std::function<bool()>& should_stop);

  /// Percent-encodes `text` for a query.
  static std::string escape(const std::string& text);

 private:
  struct Handle;
  std::unique_ptr<Handle> handle_;
};

}  // namespace txtsum::app
