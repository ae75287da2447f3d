#pragma once

#include <functional>
#include <optional>
#include <string>

namespace txtsum::app {

/// Where, as whom and into which run metrics are logged.
struct MlflowSettings {
  std::string base_url;   ///< server's address without `/api/2.0/mlflow`
  std::string token;      ///< bearer token; wins over user name and password
  std::string token_url;  ///< address that answers with a fresh token; empty where tokens are not renewed
  std::string username;
  std::string password;
  std::string experiment_name = "Default";
  std::string experiment_id;       ///< wins over the name
  std::string run_id;              ///< the run to log into; empty: a new one is created
  bool platform_owns_run = false;  ///< the run's status is the platform's (Azure ML): it is never changed here
  bool verify_certificate = true;
  int max_metric_names = 0;     ///< the server's limit of names in a run; 0: none
  int queue_rows = 20000;       ///< metric rows that wait at most; older ones are dropped
  double linger_seconds = 1;    ///< time in which rows gather before a request, so that requests stay few
  double connect_seconds = 5;   ///< limit of one connection
  double request_seconds = 15;  ///< limit of one request, connection included
  double close_seconds = 10;    ///< limit of finish(), whatever the server does
};

/// Reads MLFLOW_TRACKING_URI, MLFLOW_RUN_ID, MLFLOW_EXPERIMENT_NAME, MLFLOW_EXPERIMENT_ID, MLFLOW_TRACKING_TOKEN,
/// MLFLOW_TRACKING_USERNAME, MLFLOW_TRACKING_PASSWORD and MLFLOW_TRACKING_INSECURE_TLS, and AZUREML_RUN_ID, by which a
/// run of Azure ML's own is known. Returns nothing when no address is set, and, with a warning, when it is one that
/// only MLflow's Python package can serve (a folder, a database).
std::optional<MlflowSettings> mlflow_settings_from_environment(
    const std::function<std::string(const std::string&)>& environment);

/// Turns a tracking address into the base of REST calls: `https://host/path` stays, without query and final slash;
/// `azureml://HOST/mlflow/v1.0/SCOPE?...` becomes `https://HOST/mlflow/v2.0/SCOPE`, as Azure's own plugin does for
/// clients of MLflow 2 and 3. Empty for every other scheme.
std::string mlflow_base_url(const std::string& tracking_uri);

}  // namespace txtsum::app
