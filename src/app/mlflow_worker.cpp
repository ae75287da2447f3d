#include "app/mlflow_worker.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <exception>
#include <limits>
#include <random>

#include "txtsum/core/clock.h"
#include "txtsum/core/log.h"

namespace txtsum::app {
namespace {

using Kind = MlflowAnswer::Kind;
using core::Json;

// Azure ML takes 250 rows a request, MLflow 1000; both take 100 parameters or tags and 1 MB.
constexpr size_t kRowsPerRequest = 200;
constexpr size_t kTextsPerRequest = 50;
constexpr size_t kMostTexts = 2000;  // that wait
constexpr size_t kParamBytes = 500;
constexpr size_t kTagBytes = 1000;
constexpr double kDrainShare = 0.7;  // of the time to close; the rest is for the run's status

double now_seconds() { return core::system_clock().monotonic_seconds(); }

const char* status_word(MlflowStatus status) {
  switch (status) {
    case MlflowStatus::kFinished:
      return "FINISHED";
    case MlflowStatus::kFailed:
      return "FAILED";
    case MlflowStatus::kKilled:
      return "KILLED";
  }
  return "FAILED";
}

Json texts_to_json(const MlflowClient::Texts& texts, size_t most_bytes) {
  Json array = Json::array();
  for (const auto& [key, value] : texts) array.push_back({{"key", key}, {"value", cut_value(value, most_bytes)}});
  return array;
}

template <typename T>
std::vector<T> take(std::deque<T>& queue, size_t most) {
  const auto end = queue.begin() + static_cast<std::ptrdiff_t>(std::min(most, queue.size()));
  std::vector<T> taken(std::make_move_iterator(queue.begin()), std::make_move_iterator(end));
  queue.erase(queue.begin(), end);
  return taken;
}

}  // namespace

MlflowClient::Worker::Worker(MlflowSettings settings, std::string run_name, Texts tags)
    : settings_(std::move(settings)),
      run_name_(std::move(run_name)),
      run_tags_(std::move(tags)),
      rest_(settings_, [this] { return is_out_of_time(); }),
      deadline_seconds_(std::numeric_limits<double>::infinity()) {
  // A new run is created with its tags; a given one gets them as any others.
  if (!settings_.run_id.empty()) add_tags(run_tags_);
  thread_ = std::thread([this] { run(); });
}

MlflowClient::Worker::~Worker() { finish(MlflowStatus::kFailed); }

bool MlflowClient::Worker::admits(const std::string& key) {
  if (settings_.max_metric_names <= 0 || metric_names_.contains(key)) return true;
  if (static_cast<int>(metric_names_.size()) < settings_.max_metric_names) {
    metric_names_.insert(key);
    return true;
  }
  if (!has_warned_of_names_) {
    has_warned_of_names_ = true;
    core::log_warning("MLflow: the server takes " + std::to_string(settings_.max_metric_names) +
                      " metric names a run; " + key + " and further ones are left out");
  }
  return false;
}

void MlflowClient::Worker::trim_queue() {
  while (metrics_.size() > static_cast<size_t>(settings_.queue_rows)) {
    metrics_.pop_front();
    ++report_.dropped_metrics;
  }
  for (auto* texts : {&params_, &tags_}) {
    while (texts->size() > kMostTexts) {
      texts->pop_front();
      ++report_.dropped_texts;
    }
  }
  if (is_disabled_ || is_finished_) {
    report_.dropped_metrics += static_cast<int64_t>(metrics_.size());
    report_.dropped_texts += static_cast<int64_t>(params_.size() + tags_.size());
    metrics_.clear();
    params_.clear();
    tags_.clear();
  }
}

void MlflowClient::Worker::add_metrics(int64_t step, const Metrics& metrics) {
  const int64_t timestamp_ms = std::llround(core::system_clock().unix_seconds() * 1000);
  const std::lock_guard lock(mutex_);
  for (const auto& [name, value] : metrics) {
    const std::string key = mlflow_key(name);
    if (!std::isfinite(value)) {
      ++report_.skipped_metrics;
    } else if (!admits(key)) {
      ++report_.dropped_metrics;
    } else {
      metrics_.push_back({key, value, step, timestamp_ms});
    }
  }
  trim_queue();
  changed_.notify_one();
}

void MlflowClient::Worker::add_params(const Texts& params) {
  const std::lock_guard lock(mutex_);
  for (const auto& [name, value] : params) params_.emplace_back(mlflow_key(name), value);
  trim_queue();
  changed_.notify_one();
}

void MlflowClient::Worker::add_tags(const Texts& tags) {
  const std::lock_guard lock(mutex_);
  for (const auto& [name, value] : tags) tags_.emplace_back(mlflow_key(name), value);
  trim_queue();
  changed_.notify_one();
}

MlflowReport MlflowClient::Worker::finish(MlflowStatus status) {
  const std::lock_guard one_at_a_time(finish_mutex_);
  {
    const std::lock_guard lock(mutex_);
    if (is_finished_) return report_;
    status_ = status;
    is_closing_ = true;
    deadline_seconds_ = now_seconds() + settings_.close_seconds * kDrainShare;
  }
  changed_.notify_one();
  thread_.join();
  const std::lock_guard lock(mutex_);
  is_finished_ = true;
  trim_queue();
  report_losses(report_);
  return report_;
}

void MlflowClient::Worker::report_losses(const MlflowReport& report) const {
  if (report.skipped_metrics > 0) {
    core::log_warning("MLflow: " + std::to_string(report.skipped_metrics) +
                      " metric values were infinite or not a number and were left out");
  }
  if (report.is_complete()) return;
  std::string text = "MLflow: " + std::to_string(report.dropped_metrics) + " of " +
                     std::to_string(report.dropped_metrics + report.sent_metrics) + " metric values and " +
                     std::to_string(report.dropped_texts) + " parameters and tags were not sent";
  if (!report.last_error.empty()) text += "; the last error was: " + report.last_error;
  core::log_warning(text + ". The run's own files hold them all.");
}

void MlflowClient::Worker::run() {
  try {
    work();
  } catch (const std::exception& error) {
    // An answer that is not what the API promises ends the logging, never the run.
    give_up(std::string("unexpected answer: ") + error.what());
  }
}

void MlflowClient::Worker::work() {
  const MlflowAnswer opened = call_until_answered([this] { return rest_.open_run(run_name_, run_tags_); });
  if (opened.kind != Kind::kDone) return give_up(opened.error);
  {
    const std::lock_guard lock(mutex_);
    report_.run_id = rest_.run_id();
    if (settings_.run_id.empty()) report_.sent_texts += static_cast<int64_t>(run_tags_.size());
  }
  for (Batch batch = take_batch(); !batch.is_empty(); batch = take_batch()) send(batch);
  if (settings_.platform_owns_run) return;
  std::string word;
  {
    const std::lock_guard lock(mutex_);
    word = status_word(status_);
  }
  deadline_seconds_ = deadline_seconds_ + settings_.close_seconds * (1 - kDrainShare);
  const MlflowAnswer ended = rest_.update_status(word);
  if (ended.kind != Kind::kDone) note_failure(ended.error);
}

/// Waits for rows; empty only when the client is closing and nothing is left or time is up.
MlflowClient::Worker::Batch MlflowClient::Worker::take_batch() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return is_closing_ || !metrics_.empty() || !params_.empty() || !tags_.empty(); });
  // Let more rows gather: one request a second carries what a fast loop logs.
  changed_.wait_for(lock, std::chrono::duration<double>(settings_.linger_seconds),
                    [this] { return is_closing_ || metrics_.size() >= kRowsPerRequest; });
  Batch batch;
  if (is_out_of_time()) return batch;
  if (!params_.empty()) {
    batch.params = take(params_, kTextsPerRequest);
  } else if (!tags_.empty()) {
    batch.tags = take(tags_, kTextsPerRequest);
  } else {
    batch.metrics = take(metrics_, kRowsPerRequest);
  }
  return batch;
}

void MlflowClient::Worker::send(const Batch& given) {
  Batch batch = given;
  remove_known_params(batch.params);
  if (batch.is_empty()) return;
  Json metrics = Json::array();
  for (const MetricRow& row : batch.metrics) {
    metrics.push_back({{"key", row.key}, {"value", row.value}, {"timestamp", row.timestamp_ms}, {"step", row.step}});
  }
  const Json params = texts_to_json(batch.params, kParamBytes);
  const Json tags = texts_to_json(batch.tags, kTagBytes);
  const MlflowAnswer answer = call_until_answered([&] { return rest_.log_batch(metrics, params, tags); });
  if (answer.kind == Kind::kDone) return count_sent(batch);
  if (answer.kind == Kind::kRefused && batch.params.size() > 1) return send_one_by_one(batch.params);
  count_dropped(batch);
}

/// One parameter that the server refuses must not cost the others.
void MlflowClient::Worker::send_one_by_one(const Texts& params) {
  for (const auto& param : params) {
    Batch single;
    single.params.push_back(param);
    send(single);
  }
}

void MlflowClient::Worker::remove_known_params(Texts& params) {
  const size_t before = params.size();
  std::erase_if(params, [this](const auto& param) { return rest_.known_params().contains(param.first); });
  const std::lock_guard lock(mutex_);
  report_.kept_params += static_cast<int64_t>(before - params.size());
}

void MlflowClient::Worker::count_sent(const Batch& batch) {
  const std::lock_guard lock(mutex_);
  report_.sent_metrics += static_cast<int64_t>(batch.metrics.size());
  report_.sent_texts += static_cast<int64_t>(batch.params.size() + batch.tags.size());
}

void MlflowClient::Worker::count_dropped(const Batch& batch) {
  const std::lock_guard lock(mutex_);
  report_.dropped_metrics += static_cast<int64_t>(batch.metrics.size());
  report_.dropped_texts += static_cast<int64_t>(batch.params.size() + batch.tags.size());
}

MlflowAnswer MlflowClient::Worker::call_until_answered(const std::function<MlflowAnswer()>& call) {
  constexpr int kTriesWhenClosing = 3;
  int failures = 0;
  int failures_when_closing = 0;
  while (true) {
    const MlflowAnswer answer = call();
    if (answer.kind == Kind::kDone) return answer;
    note_failure(answer.error);
    if (answer.kind == Kind::kRefused || is_out_of_time()) return answer;
    ++failures;
    if (wait_before_retry(failures)) ++failures_when_closing;
    if (is_out_of_time()) return answer;
    if (failures_when_closing >= kTriesWhenClosing) {
      deadline_seconds_ = now_seconds();  // the server is not there: what waits is lost
      return answer;
    }
  }
}

/// Waits half a second, doubled at each failure up to 30 s, by chance between half and all of it, so that many clients
/// do not come back at once. True when the client is closing; then the wait is short.
bool MlflowClient::Worker::wait_before_retry(int failures) {
  constexpr double kFirstSeconds = 0.5;
  constexpr double kMostSeconds = 30;
  constexpr double kClosingSeconds = 0.5;
  static thread_local std::minstd_rand generator(std::random_device{}());
  const double whole = std::min(kMostSeconds, kFirstSeconds * std::pow(2, std::min(failures - 1, 10)));
  const double seconds = whole * std::uniform_real_distribution<double>(0.5, 1)(generator);
  std::unique_lock lock(mutex_);
  const auto closing = [this] { return is_closing_; };
  if (!is_closing_) {
    changed_.wait_for(lock, std::chrono::duration<double>(seconds), closing);
  } else {
    changed_.wait_for(lock, std::chrono::duration<double>(std::min(seconds, kClosingSeconds)), [] { return false; });
  }
  return is_closing_;
}

bool MlflowClient::Worker::is_out_of_time() const { return now_seconds() >= deadline_seconds_; }

void MlflowClient::Worker::note_failure(const std::string& error) {
  const std::lock_guard lock(mutex_);
  ++report_.failed_requests;
  report_.last_error = error;
  if (has_warned_) return;
  has_warned_ = true;
  core::log_warning("MLflow: " + error + "; the run goes on, and losses are counted at the end");
}

void MlflowClient::Worker::give_up(const std::string& error) {
  const std::lock_guard lock(mutex_);
  is_disabled_ = true;
  report_.last_error = error;
  trim_queue();
}

}  // namespace txtsum::app
