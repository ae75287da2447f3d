#include "txtsum/app/mlflow_settings.h"

#include <string_view>

#include "txtsum/core/log.h"

namespace txtsum::app {
namespace {

constexpr std::string_view kAzureScheme = "azureml://";
constexpr int kAzureMetricNames = 50;

std::string without_query(const std::string& address) { return address.substr(0, address.find_first_of("?#")); }

bool is_true(const std::string& value) { return value == "true" || value == "True" || value == "1"; }

/// Azure's address of fresh tokens: the workspace's scope is what follows `/mlflow/vX.Y`.
std::string azure_token_url(const std::string& base_url, const std::string& experiment_id, const std::string& run_id) {
  const size_t scheme_end = base_url.find("://") + 3;
  const size_t host_end = base_url.find('/', scheme_end);
  const size_t scope = base_url.find("/subscriptions/");
  if (host_end == std::string::npos || scope == std::string::npos || experiment_id.empty() || run_id.empty()) return "";
  return base_url.substr(0, host_end) + "/history/v1.0" + base_url.substr(scope) + "/experimentids/" + experiment_id +
         "/runs/" + run_id + "/token";
}

}  // namespace

std::string mlflow_base_url(const std::string& tracking_uri) {
  std::string url = without_query(tracking_uri);
  if (url.starts_with(kAzureScheme)) {
    url = "https://" + url.substr(kAzureScheme.size());
    constexpr std::string_view kOld = "/mlflow/v1.0/";
    if (const size_t at = url.find(kOld); at != std::string::npos) url.replace(at, kOld.size(), "/mlflow/v2.0/");
  }
  if (!url.starts_with("http://") && !url.starts_with("https://")) return "";
  while (url.ends_with('/')) url.pop_back();
  return url.ends_with(':') ? "" : url;
}

std::optional<MlflowSettings> mlflow_settings_from_environment(
    const std::function<std::string(const std::string&)>& environment) {
  const std::string uri = environment("MLFLOW_TRACKING_URI");
  if (uri.empty()) return std::nullopt;
  MlflowSettings settings;
  settings.base_url = mlflow_base_url(uri);
  if (settings.base_url.empty()) {
    core::log_warning("MLFLOW_TRACKING_URI=" + without_query(uri) +
                      ": only http, https and azureml addresses can be logged to; nothing is logged to MLflow "
                      "(a local server: mlflow server --host 127.0.0.1 --port 5000)");
    return std::nullopt;
  }
  settings.token = environment("MLFLOW_TRACKING_TOKEN");
  settings.username = environment("MLFLOW_TRACKING_USERNAME");
  settings.password = environment("MLFLOW_TRACKING_PASSWORD");
  settings.verify_certificate = !is_true(environment("MLFLOW_TRACKING_INSECURE_TLS"));
  settings.run_id = environment("MLFLOW_RUN_ID");
  settings.experiment_id = environment("MLFLOW_EXPERIMENT_ID");
  if (const std::string name = environment("MLFLOW_EXPERIMENT_NAME"); !name.empty()) settings.experiment_name = name;
  settings.platform_owns_run = !settings.run_id.empty() && settings.run_id == environment("AZUREML_RUN_ID");
  if (uri.starts_with(kAzureScheme)) {
    settings.max_metric_names = kAzureMetricNames;
    settings.token_url = azure_token_url(settings.base_url, settings.experiment_id, settings.run_id);
  }
  return settings;
}

}  // namespace txtsum::app
