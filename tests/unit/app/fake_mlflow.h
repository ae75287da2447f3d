#pragma once

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <tuple>

#include "fake_http_server.h"
#include "txtsum/core/json.h"

namespace txtsum::tests {

/// The part of an MLflow server's behaviour that a client meets: experiments, one run, batches with MLflow's and
/// Azure's limits, parameters that cannot change.
class FakeMlflow {
 public:
  std::map<std::string, std::string> params;
  std::map<std::string, std::string> tags;
  std::set<std::tuple<std::string, long long, double>> metrics;  // name, step, value
  std::string status = "none";
  bool has_experiment = false;
  size_t largest_batch = 0;

  FakeAnswer answer(const ReceivedRequest& request) {
    const std::string prefix = "/api/2.0/mlflow/";
    if (!request.target.starts_with(prefix)) return {404, "<html>not here</html>"};
    const std::string endpoint = request.target.substr(prefix.size(), request.target.find('?') - prefix.size());
    const core::Json body = core::Json::parse(request.body.empty() ? "{}" : request.body, nullptr, false);
    if (!body.is_object()) return refuse("not JSON");
    if (endpoint == "experiments/get-by-name" && request.method == "GET") {
      if (!has_experiment) return {404, R"({"error_code":"RESOURCE_DOES_NOT_EXIST","message":"no experiment"})"};
      return {200, R"({"experiment":{"experiment_id":"7"}})"};
    }
    if (endpoint == "experiments/create") {
      has_experiment = true;
      return {200, R"({"experiment_id":"7"})"};
    }
    if (endpoint == "runs/create") return create(body);
    if (endpoint == "runs/get") return {200, run().dump()};
    if (endpoint == "runs/log-batch") return log_batch(body);
    if (endpoint == "runs/update") {
      status = body.at("status");
      return {200, "{}"};
    }
    return {404, "{}"};
  }

 private:
  static FakeAnswer refuse(const std::string& message) {
    return {400, core::Json({{"error_code", "INVALID_PARAMETER_VALUE"}, {"message", message}}).dump()};
  }

  FakeAnswer create(const core::Json& body) {
    if (body.at("experiment_id").get<std::string>() != "7") return refuse("no such experiment");
    status = "RUNNING";
    tags["mlflow.runName"] = body.at("run_name");
    for (const auto& tag : body.at("tags")) tags[tag.at("key")] = tag.at("value");
    return {200, run().dump()};
  }

  core::Json run() const {
    core::Json list = core::Json::array();
    for (const auto& [key, value] : params) list.push_back({{"key", key}, {"value", value}});
    return {{"run", {{"info", {{"run_id", "r1"}}}, {"data", {{"params", list}}}}}};
  }

  FakeAnswer log_batch(const core::Json& body) {
    if (body.at("run_id").get<std::string>() != "r1") return {404, "{}"};
    if (body.at("metrics").size() > 250 || body.at("params").size() > 100) return refuse("too many");
    largest_batch = std::max(largest_batch, body.at("metrics").size());
    for (const auto& param : body.at("params")) {
      const std::string key = param.at("key");
      if (params.contains(key) && params.at(key) != param.at("value").get<std::string>())
        return refuse("Changing param values");
    }
    for (const auto& param : body.at("params")) params[param.at("key")] = param.at("value");
    for (const auto& tag : body.at("tags")) tags[tag.at("key")] = tag.at("value");
    for (const auto& row : body.at("metrics")) {
      if (row.at("timestamp").get<long long>() < 1600000000000) return refuse("timestamp is not in ms");
      metrics.emplace(row.at("key").get<std::string>(), row.at("step").get<long long>(), row.at("value").get<double>());
    }
    return {200, "{}"};
  }
};

}  // namespace txtsum::tests
