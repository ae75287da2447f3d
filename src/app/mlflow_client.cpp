#include "txtsum/app/mlflow_client.h"

#include <cctype>

#include "app/mlflow_worker.h"

namespace txtsum::app {

MlflowClient::MlflowClient(MlflowSettings settings, std::string run_name, Texts tags)
    : worker_(std::make_unique<Worker>(std::move(settings), std::move(run_name), std::move(tags))) {}

MlflowClient::~MlflowClient() = default;

void MlflowClient::log_metrics(int64_t step, const Metrics& metrics) { worker_->add_metrics(step, metrics); }
void MlflowClient::log_params(const Texts& params) { worker_->add_params(params); }
void MlflowClient::set_tags(const Texts& tags) { worker_->add_tags(tags); }
MlflowReport MlflowClient::finish(MlflowStatus status) { return worker_->finish(status); }

std::string mlflow_key(const std::string& name) {
  constexpr size_t kMostBytes = 100;
  std::string key;
  for (const char c : name.substr(0, kMostBytes)) {
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-' || c == '/' || c == '.';
    const bool climbs = c == '.' && key.ends_with('.');
    key += plain && !climbs && !(key.empty() && c == '/') ? c : '_';
  }
  return key.empty() ? "_" : key;
}

}  // namespace txtsum::app
