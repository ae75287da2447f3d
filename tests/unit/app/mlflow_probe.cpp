// Logs a fixed set of values by the environment's settings and prints what became of them as one line of JSON. Run by
// mlflow_server_test.py against a real server.

#include <cstdio>
#include <cstdlib>
#include <string>

#include "txtsum/app/hub_cache.h"
#include "txtsum/app/mlflow_client.h"
#include "txtsum/core/json.h"

int main() {
  using namespace txtsum;
  auto settings = app::mlflow_settings_from_environment(app::process_environment);
  if (!settings) return EXIT_FAILURE;
  settings->close_seconds = 60;  // a slow machine is no failure
  app::MlflowClient client(*settings, "probe", {{"commit", "abc"}});
  client.log_params({{"train.learning_rate", "3e-05"},
                     {"note", "\u00e9 \"quoted\" \n two lines"},
                     {"long", std::string(3000, 'x')},
                     {"attempt", settings->run_id.empty() ? "1" : "2"}});
  const int first = settings->run_id.empty() ? 1 : 1001;
  for (int step = first; step < first + 1000; ++step) {
    client.log_metrics(step, {{"train/loss", 1.0 / step}, {"train/learning_rate", 1e-5 * step}});
  }
  client.log_metrics(first, {{"eval/rougeLsum", 42.125}});
  client.set_tags({{"phase", settings->run_id.empty() ? "train" : "resumed"}});
  const app::MlflowReport report = client.finish(app::MlflowStatus::kFinished);
  const core::Json line = {
      {"run_id", report.run_id},           {"sent_metrics", report.sent_metrics}, {"sent_texts", report.sent_texts},
      {"kept_params", report.kept_params}, {"is_complete", report.is_complete()}, {"last_error", report.last_error}};
  std::puts(core::to_line(line).c_str());
  return report.is_complete() ? EXIT_SUCCESS : EXIT_FAILURE;
}
