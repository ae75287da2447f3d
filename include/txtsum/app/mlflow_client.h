#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "txtsum/app/mlflow_settings.h"

namespace txtsum::app {

enum class MlflowStatus { kFinished, kFailed, kKilled };

/// What became of everything that was given to a client.
struct MlflowReport {
  std::string run_id;        ///< empty when no run was reached
  int64_t sent_metrics = 0;  ///< rows that the server accepted
  int64_t dropped_metrics = 0;
  int64_t skipped_metrics = 0;  ///< rows that are not a number or infinite, for which JSON has no word
  int64_t sent_texts = 0;       ///< parameters and tags that the server accepted
  int64_t dropped_texts = 0;
  int64_t kept_params = 0;  ///< parameters that an earlier attempt had logged; MLflow never changes one
  int64_t failed_requests = 0;
  std::string last_error;

  /// True when everything that can be sent was sent.
  bool is_complete() const { return dropped_metrics == 0 && dropped_texts == 0; }
};

/// Logs one run to an MLflow server over REST. Every call only fills a queue; a thread of the client's own sends it,
/// with retries and time limits. A server that fails, hangs or is not there costs rows, which are counted, and never
/// stops or slows the run: no member throws. Calls are thread-safe. Only one process of a run may log.
class MlflowClient {
 public:
  using Texts = std::vector<std::pair<std::string, std::string>>;
  using Metrics = std::vector<std::pair<std::string, double>>;

  /// Starts the thread. `run_name` and `tags` are those of a run that is created here; tags are also set on a given
  /// run.
  MlflowClient(MlflowSettings settings, std::string run_name, Texts tags = {});
  /// Ends the run as failed unless finish was called.
  ~MlflowClient();
  MlflowClient(const MlflowClient&) = delete;
  MlflowClient& operator=(const MlflowClient&) = delete;

  /// Logs `metrics` (name and value) at `step`, stamped with the present time.
  void log_metrics(int64_t step, const Metrics& metrics);

  /// Logs parameters: facts that stay the same for the whole run. Values over 500 bytes are cut, with a mark.
  void log_params(const Texts& params);

  /// Sets tags: facts that may change. Values over 1000 bytes are cut, with a mark.
  void set_tags(const Texts& tags);

  /// Sends what waits, ends the run with `status` where the run is ours, and stops the thread, all within
  /// `close_seconds`. What could not be sent is counted and warned of. Later calls return the same report.
  MlflowReport finish(MlflowStatus status);

 private:
  class Worker;
  std::unique_ptr<Worker> worker_;
};

/// The form in which a metric's, parameter's or tag's name is sent: at most 100 of `[a-zA-Z0-9_./-]`, other bytes `_`,
/// no leading slash, no `..`.
std::string mlflow_key(const std::string& name);

}  // namespace txtsum::app
