#pragma once

#include <functional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "app/http_session.h"
#include "txtsum/app/mlflow_settings.h"
#include "txtsum/core/json.h"

namespace txtsum::app {

/// What a call to the server came to.
struct MlflowAnswer {
  enum class Kind {
    kDone,
    kFailed,   ///< may work when tried again: no answer, a limit on requests, the server's own fault
    kRefused,  ///< will not: the request or the credentials are wrong
  };
  Kind kind = Kind::kFailed;
  long status = 0;    ///< HTTP status, 0 without an answer
  std::string error;  ///< one line for a person
  core::Json json;
};

/// Seconds since 1970 at which the JSON web token ends (its claim `exp`); 0 where it does not say.
double token_end_seconds(const std::string& token);

/// Cuts `value` to `most` bytes on a code point's boundary, with `...` at the end where something was cut.
std::string cut_value(const std::string& value, size_t most);

/// The calls of MLflow's REST API that a run needs, each one request. Not thread-safe.
class MlflowRest {
 public:
  using Texts = std::vector<std::pair<std::string, std::string>>;

  /// `should_stop` ends a wait for the server.
  MlflowRest(MlflowSettings settings, std::function<bool()> should_stop);

  const MlflowSettings& settings() const { return settings_; }
  const std::string& run_id() const { return settings_.run_id; }
  /// Names of the parameters that the run had when it was opened.
  const std::set<std::string>& known_params() const { return known_params_; }

  /// Finds the given run, or finds or creates the experiment and creates a run in it. May be tried again after kFailed.
  MlflowAnswer open_run(const std::string& run_name, const Texts& tags);
  /// Logs one batch; each argument is a JSON array as the API has it.
  MlflowAnswer log_batch(core::Json metrics, core::Json params, core::Json tags);
  /// Sets the run's status ("RUNNING", "FINISHED", ...), with the present as its end unless it is running.
  MlflowAnswer update_status(const std::string& status);

 private:
  MlflowAnswer get(const std::string& endpoint_and_query) { return call(endpoint_and_query, ""); }
  MlflowAnswer post(const std::string& endpoint, const core::Json& body) { return call(endpoint, core::to_line(body)); }
  MlflowAnswer call(const std::string& endpoint, const std::string& body);
  MlflowAnswer find_experiment();
  MlflowAnswer attach();
  HttpResponse request(const std::string& url, const std::string& body);
  void renew_token(bool even_if_valid);

  MlflowSettings settings_;
  std::function<bool()> should_stop_;
  HttpSession session_;
  std::set<std::string> known_params_;
  double last_renewal_seconds_ = -1e9;
};

}  // namespace txtsum::app
