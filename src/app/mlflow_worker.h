#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "app/mlflow_rest.h"
#include "txtsum/app/mlflow_client.h"
#include "txtsum/core/json.h"

namespace txtsum::app {

/// The queue of a client and the thread that empties it.
class MlflowClient::Worker {
 public:
  Worker(MlflowSettings settings, std::string run_name, Texts tags);
  ~Worker();

  void add_metrics(int64_t step, const Metrics& metrics);
  void add_params(const Texts& params);
  void add_tags(const Texts& tags);
  MlflowReport finish(MlflowStatus status);

 private:
  struct MetricRow {
    std::string key;
    double value;
    int64_t step;
    int64_t timestamp_ms;
  };
  /// What one request carries: rows of one kind.
  struct Batch {
    std::vector<MetricRow> metrics;
    Texts params;
    Texts tags;
    bool is_empty() const { return metrics.empty() && params.empty() && tags.empty(); }
  };

  // On the caller's side, under mutex_.
  bool admits(const std::string& key);
  void trim_queue();
  void report_losses(const MlflowReport& report) const;

  // On the thread's side.
  void run();
  void work();
  Batch take_batch();
  void send(const Batch& batch);
  void send_one_by_one(const Texts& params);
  void remove_known_params(Texts& params);
  void count_sent(const Batch& batch);
  void count_dropped(const Batch& batch);
  MlflowAnswer call_until_answered(const std::function<MlflowAnswer()>& call);
  void note_failure(const std::string& error);
  bool wait_before_retry(int failures);
  bool is_out_of_time() const;
  void give_up(const std::string& error);

  const MlflowSettings settings_;
  const std::string run_name_;
  const Texts run_tags_;
  std::set<std::string> metric_names_;  // caller's side
  MlflowRest rest_;                     // thread's side

  std::mutex mutex_;  // guards everything down to report_
  std::condition_variable changed_;
  std::deque<MetricRow> metrics_;
  std::deque<std::pair<std::string, std::string>> params_;
  std::deque<std::pair<std::string, std::string>> tags_;
  bool is_closing_ = false;
  bool is_disabled_ = false;
  bool is_finished_ = false;
  bool has_warned_ = false;
  bool has_warned_of_names_ = false;
  MlflowStatus status_ = MlflowStatus::kFailed;
  MlflowReport report_;

  std::atomic<double> deadline_seconds_;  // monotonic; infinite until finish
  std::mutex finish_mutex_;
  std::thread thread_;
};

}  // namespace txtsum::app
