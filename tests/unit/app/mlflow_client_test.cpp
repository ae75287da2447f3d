#include "txtsum/app/mlflow_client.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <thread>
#include <vector>

#include "fake_mlflow.h"

namespace txtsum::app {
namespace {

using tests::FakeAnswer;
using tests::FakeHttpServer;
using tests::FakeMlflow;
using tests::ReceivedRequest;

MlflowSettings quick_settings(const std::string& url) {
  ::setenv("no_proxy", "127.0.0.1", 1);  // a proxy of the machine's is none for loopback
  MlflowSettings settings;
  settings.base_url = url;
  settings.linger_seconds = 0.02;
  settings.close_seconds = 5;
  return settings;
}

double seconds_of(const std::function<void()>& action) {
  const auto begin = std::chrono::steady_clock::now();
  action();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

TEST(MlflowClient, CreatesExperimentAndRunLogsAndFinishes) {
  FakeMlflow mlflow;
  FakeHttpServer server([&](const ReceivedRequest& request) { return mlflow.answer(request); });
  MlflowSettings settings = quick_settings(server.url());
  settings.experiment_name = "a b/\u00e9";
  settings.token = "secret";
  MlflowClient client(settings, "bart", {{"commit", "abc"}});
  client.log_params({{"train.learning_rate", "3e-05"}, {"long", std::string(2000, 'x')}});
  client.log_metrics(1, {{"train/loss", 2.5}, {"nan", std::numeric_limits<double>::quiet_NaN()}});
  client.log_metrics(2, {{"train/loss", 2.25}});
  client.set_tags({{"phase", "train"}});
  const MlflowReport report = client.finish(MlflowStatus::kFinished);

  EXPECT_EQ(report.run_id, "r1");
  EXPECT_EQ(report.sent_metrics, 2);
  EXPECT_EQ(report.skipped_metrics, 1);
  EXPECT_EQ(report.sent_texts, 4);
  EXPECT_TRUE(report.is_complete());
  EXPECT_EQ(mlflow.status, "FINISHED");
  EXPECT_EQ(mlflow.tags.at("commit"), "abc");
  EXPECT_EQ(mlflow.tags.at("phase"), "train");
  EXPECT_EQ(mlflow.tags.at("mlflow.runName"), "bart");
  EXPECT_EQ(mlflow.params.at("train.learning_rate"), "3e-05");
  EXPECT_EQ(mlflow.params.at("long"), std::string(497, 'x') + "...");
  EXPECT_TRUE(mlflow.metrics.contains({"train/loss", 2, 2.25}));
  const std::vector<ReceivedRequest> requests = server.requests();
  EXPECT_EQ(requests.front().target, "/api/2.0/mlflow/experiments/get-by-name?experiment_name=a%20b%2F%C3%A9");
  for (const ReceivedRequest& request : requests) {
    EXPECT_NE(request.headers.find("Authorization: Bearer secret\r\n"), std::string::npos) << request.headers;
  }
}

TEST(MlflowClient, SendsUserAndPassword) {
  FakeMlflow mlflow;
  FakeHttpServer server([&](const ReceivedRequest& request) { return mlflow.answer(request); });
  MlflowSettings settings = quick_settings(server.url());
  settings.username = "user";
  settings.password = "pass";
  MlflowClient(settings, "bart").finish(MlflowStatus::kFinished);
  EXPECT_NE(server.requests().front().headers.find("Authorization: Basic dXNlcjpwYXNz\r\n"), std::string::npos);
}

TEST(MlflowClient, KeepsTheParametersOfAnEarlierAttempt) {
  FakeMlflow mlflow;
  mlflow.params = {{"train.seed", "1"}};
  FakeHttpServer server([&](const ReceivedRequest& request) { return mlflow.answer(request); });
  MlflowSettings settings = quick_settings(server.url());
  settings.run_id = "r1";
  MlflowClient client(settings, "bart");
  client.log_params({{"train.seed", "2"}, {"train.epochs", "3"}});
  const MlflowReport report = client.finish(MlflowStatus::kKilled);
  EXPECT_EQ(report.kept_params, 1);
  EXPECT_TRUE(report.is_complete()) << report.last_error;
  EXPECT_EQ(mlflow.params.at("train.seed"), "1");
  EXPECT_EQ(mlflow.params.at("train.epochs"), "3");
  EXPECT_EQ(mlflow.status, "KILLED");
}

TEST(MlflowClient, LosesOnlyTheParameterThatIsRefused) {
  FakeMlflow mlflow;
  FakeHttpServer server([&](const ReceivedRequest& request) { return mlflow.answer(request); });
  MlflowClient client(quick_settings(server.url()), "bart");
  client.log_params({{"a", "1"}});
  while (server.requests().size() < 4) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  client.log_params({{"a", "2"}, {"b", "1"}});
  const MlflowReport report = client.finish(MlflowStatus::kFinished);
  EXPECT_EQ(report.dropped_texts, 1);
  EXPECT_EQ(mlflow.params.at("b"), "1");
  EXPECT_EQ(mlflow.params.at("a"), "1");
}

TEST(MlflowClient, NeverEndsARunOfThePlatform) {
  FakeMlflow mlflow;
  FakeHttpServer server([&](const ReceivedRequest& request) { return mlflow.answer(request); });
  MlflowSettings settings = quick_settings(server.url());
  settings.run_id = "r1";
  settings.platform_owns_run = true;
  MlflowClient client(settings, "bart");
  client.log_metrics(1, {{"loss", 1}});
  EXPECT_EQ(client.finish(MlflowStatus::kFinished).sent_metrics, 1);
  EXPECT_EQ(mlflow.status, "none");
}

TEST(MlflowClient, TriesAgainAfterErrorsAndLimits) {
  FakeMlflow mlflow;
  std::atomic<int> calls{0};
  FakeHttpServer server([&](const ReceivedRequest& request) {
    const std::vector<int> faults = {500, 0, 429, 0, 0, 503};
    const size_t call = static_cast<size_t>(calls++);
    if (call < faults.size() && faults[call] != 0) return FakeAnswer{faults[call], "{\"message\":\"busy\"}"};
    return mlflow.answer(request);
  });
  MlflowClient client(quick_settings(server.url()), "bart");
  client.log_metrics(1, {{"loss", 1}});
  while (calls < 8) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  const MlflowReport report = client.finish(MlflowStatus::kFinished);
  EXPECT_EQ(report.failed_requests, 3);
  EXPECT_EQ(report.sent_metrics, 1);
  EXPECT_TRUE(report.is_complete());
  EXPECT_EQ(mlflow.status, "FINISHED");
}

TEST(MlflowClient, KeepsBatchesSmallAndCountsWhatTheQueueDrops) {
  FakeMlflow mlflow;
  std::atomic<bool> is_open{false};
  FakeHttpServer server([&](const ReceivedRequest& request) {
    return is_open ? mlflow.answer(request) : FakeAnswer{503, "{}"};
  });
  MlflowSettings settings = quick_settings(server.url());
  settings.queue_rows = 1000;
  MlflowClient client(settings, "bart");
  for (int step = 0; step < 1500; ++step) client.log_metrics(step, {{"loss", step}});
  is_open = true;
  const MlflowReport report = client.finish(MlflowStatus::kFinished);
  EXPECT_EQ(report.dropped_metrics, 500);
  EXPECT_EQ(report.sent_metrics, 1000);
  EXPECT_EQ(mlflow.metrics.size(), 1000u);
  EXPECT_TRUE(mlflow.metrics.contains({"loss", 1499, 1499})) << "the oldest go first";
  EXPECT_LE(mlflow.largest_batch, 200u);
}

TEST(MlflowClient, AHangingServerCostsNoTimeButABoundedCloseAtTheEnd) {
  FakeHttpServer server([](const ReceivedRequest&) { return FakeAnswer{0, ""}; });
  MlflowSettings settings = quick_settings(server.url());
  settings.close_seconds = 2;
  MlflowReport report;
  std::unique_ptr<MlflowClient> client;
  const double logging = seconds_of([&] {
    client = std::make_unique<MlflowClient>(settings, "bart");
    for (int step = 0; step < 1000; ++step) client->log_metrics(step, {{"loss", 1}});
  });
  const double closing = seconds_of([&] { report = client->finish(MlflowStatus::kFinished); });
  EXPECT_LT(logging, 0.5);
  EXPECT_LT(closing, 4);
  EXPECT_EQ(report.dropped_metrics, 1000);
  EXPECT_FALSE(report.last_error.empty());
}

TEST(MlflowClient, ARefusedConnectionCostsLittle) {
  std::string url;
  {
    FakeHttpServer server([](const ReceivedRequest&) { return FakeAnswer{}; });
    url = server.url();
  }
  MlflowClient client(quick_settings(url), "bart");
  client.log_metrics(1, {{"loss", 1}});
  MlflowReport report;
  const double closing = seconds_of([&] { report = client.finish(MlflowStatus::kFailed); });
  EXPECT_LT(closing, 3);
  EXPECT_EQ(report.dropped_metrics, 1);
  EXPECT_EQ(report.run_id, "");
}

TEST(MlflowClient, GivesUpWhenCredentialsAreRefusedOrTheAnswerIsStrange) {
  for (const FakeAnswer& answer :
       {FakeAnswer{401, "{}"}, FakeAnswer{200, "<html>"}, FakeAnswer{200, "{\"experiment\": 3}"}, FakeAnswer{302, ""},
        FakeAnswer{200, "{\"experiment\": {\"experiment_id\": \"1\"}, \"run\": []}"}}) {
    FakeHttpServer server([&](const ReceivedRequest&) { return answer; });
    MlflowClient client(quick_settings(server.url()), "bart");
    client.log_metrics(1, {{"loss", 1}});
    const MlflowReport report = client.finish(MlflowStatus::kFinished);
    EXPECT_EQ(report.dropped_metrics, 1) << answer.status << answer.body;
    EXPECT_LE(server.requests().size(), 3u);
  }
}

TEST(MlflowClient, HonoursTheLimitOfMetricNames) {
  FakeMlflow mlflow;
  FakeHttpServer server([&](const ReceivedRequest& request) { return mlflow.answer(request); });
  MlflowSettings settings = quick_settings(server.url());
  settings.max_metric_names = 50;
  MlflowClient client(settings, "bart");
  for (int i = 0; i < 60; ++i) client.log_metrics(1, {{std::string("m").append(std::to_string(i)), i}});
  const MlflowReport report = client.finish(MlflowStatus::kFinished);
  EXPECT_EQ(report.sent_metrics, 50);
  EXPECT_EQ(report.dropped_metrics, 10);
}

TEST(MlflowClient, RenewsATokenThatIsAboutToEnd) {
  // {"exp": 1000} in base64url: a token that ended long ago.
  const std::string old_token = "x.eyJleHAiOiAxMDAwfQ.y";
  FakeMlflow mlflow;
  FakeHttpServer server([&](const ReceivedRequest& request) {
    if (request.target == "/token") return FakeAnswer{200, "{\"token\": \"fresh\", \"expiry_time_utc\": \"soon\"}"};
    return mlflow.answer(request);
  });
  MlflowSettings settings = quick_settings(server.url());
  settings.token = old_token;
  settings.token_url = server.url() + "/token";
  MlflowClient(settings, "bart").finish(MlflowStatus::kFinished);
  const std::vector<ReceivedRequest> requests = server.requests();
  ASSERT_GE(requests.size(), 2u);
  EXPECT_EQ(requests[0].target, "/token");
  EXPECT_NE(requests[0].headers.find(old_token), std::string::npos);
  EXPECT_NE(requests[1].headers.find("Bearer fresh\r\n"), std::string::npos);
}

TEST(MlflowBaseUrl, TurnsAzuresAddressIntoHttps) {
  const std::string scope =
      "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w";
  EXPECT_EQ(mlflow_base_url("azureml://eastus.api.azureml.ms/mlflow/v1.0" + scope + "?x=1&y"),
            "https://eastus.api.azureml.ms/mlflow/v2.0" + scope);
  EXPECT_EQ(mlflow_base_url("azureml://eastus.api.azureml.ms/mlflow/v2.0" + scope),
            "https://eastus.api.azureml.ms/mlflow/v2.0" + scope);
  EXPECT_EQ(mlflow_base_url("http://127.0.0.1:5000/"), "http://127.0.0.1:5000");
  for (const char* other : {"file:///tmp/mlruns", "./mlruns", "sqlite:///a.db", "databricks", "http://"}) {
    EXPECT_EQ(mlflow_base_url(other), "") << other;
  }
}

TEST(MlflowSettings, AreReadFromTheEnvironment) {
  std::map<std::string, std::string> variables;
  const auto environment = [&](const std::string& name) { return variables[name]; };
  EXPECT_FALSE(mlflow_settings_from_environment(environment).has_value());
  variables["MLFLOW_TRACKING_URI"] = "./mlruns";
  EXPECT_FALSE(mlflow_settings_from_environment(environment).has_value());
  variables = {{"MLFLOW_TRACKING_URI", "azureml://h/mlflow/v1.0/subscriptions/s/workspaces/w?a"},
               {"MLFLOW_RUN_ID", "r"},
               {"AZUREML_RUN_ID", "r"},
               {"MLFLOW_EXPERIMENT_ID", "e"},
               {"MLFLOW_TRACKING_TOKEN", "t"}};
  const auto settings = mlflow_settings_from_environment(environment);
  ASSERT_TRUE(settings.has_value());
  EXPECT_TRUE(settings->platform_owns_run);
  EXPECT_EQ(settings->token_url, "https://h/history/v1.0/subscriptions/s/workspaces/w/experimentids/e/runs/r/token");
  EXPECT_EQ(settings->max_metric_names, 50);
}

TEST(MlflowKey, KeepsPlainNamesAndReplacesTheRest) {
  EXPECT_EQ(mlflow_key("eval/rougeL-1.x_2"), "eval/rougeL-1.x_2");
  EXPECT_EQ(mlflow_key("/../a b"), "_._/a_b");
  EXPECT_EQ(mlflow_key(std::string(200, 'k')).size(), 100u);
  EXPECT_EQ(mlflow_key(""), "_");
}

}  // namespace
}  // namespace txtsum::app
