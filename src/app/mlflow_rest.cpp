#include "app/mlflow_rest.h"

#include <cmath>
#include <cstdint>

#include "txtsum/core/clock.h"

namespace txtsum::app {
namespace {

using Kind = MlflowAnswer::Kind;
using core::Json;

int64_t now_ms() { return std::llround(core::system_clock().unix_seconds() * 1000); }

bool may_work_later(long status) {
  return status == 0 || status == 408 || status == 429 || status == 500 || status == 502 || status == 503 ||
         status == 504;
}

/// A string member of an object, else empty.
std::string text_of(const Json& json, const char* key) {
  if (!json.is_object()) return "";
  const auto found = json.find(key);
  return found != json.end() && found->is_string() ? found->get<std::string>() : "";
}

std::string decode_base64url(const std::string& text) {
  std::string out;
  uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    uint32_t value = 0;
    if (c >= 'A' && c <= 'Z')
      value = static_cast<uint32_t>(c - 'A');
    else if (c >= 'a' && c <= 'z')
      value = static_cast<uint32_t>(c - 'a') + 26;
    else if (c >= '0' && c <= '9')
      value = static_cast<uint32_t>(c - '0') + 52;
    else if (c == '-' || c == '+')
      value = 62;
    else if (c == '_' || c == '/')
      value = 63;
    else
      break;
    bits = bits << 6 | value;
    count += 6;
    if (count >= 8) {
      count -= 8;
      out += static_cast<char>(bits >> count & 0xFF);
    }
  }
  return out;
}

Json to_tags(const MlflowRest::Texts& tags) {
  Json array = Json::array();
  for (const auto& [key, value] : tags) array.push_back({{"key", key}, {"value", value}});
  return array;
}

}  // namespace

double token_end_seconds(const std::string& token) {
  const size_t first = token.find('.');
  if (first == std::string::npos) return 0;
  const size_t second = token.find('.', first + 1);
  if (second == std::string::npos) return 0;
  const std::string claims = decode_base64url(token.substr(first + 1, second - first - 1));
  const Json json = Json::parse(claims, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("exp") || !json["exp"].is_number()) return 0;
  return json["exp"].get<double>();
}

std::string cut_value(const std::string& value, size_t most) {
  constexpr size_t kMark = 3;
  if (value.size() <= most) return value;
  size_t end = most - kMark;
  while (end > 0 && (static_cast<unsigned char>(value[end]) & 0xC0) == 0x80) --end;
  return value.substr(0, end) + "...";
}

MlflowRest::MlflowRest(MlflowSettings settings, std::function<bool()> should_stop)
    : settings_(std::move(settings)), should_stop_(std::move(should_stop)) {}

MlflowAnswer MlflowRest::open_run(const std::string& run_name, const Texts& tags) {
  if (!settings_.run_id.empty()) return attach();
  if (settings_.experiment_id.empty()) {
    const MlflowAnswer found = find_experiment();
    if (found.kind != Kind::kDone) return found;
  }
  const Json body = {{"experiment_id", settings_.experiment_id},
                     {"run_name", run_name},
                     {"start_time", now_ms()},
                     {"tags", to_tags(tags)}};
  MlflowAnswer answer = post("runs/create", body);
  if (answer.kind != Kind::kDone) return answer;
  const Json info = answer.json.value("run", Json::object()).value("info", Json::object());
  settings_.run_id = text_of(info, "run_id");
  if (settings_.run_id.empty()) return {Kind::kRefused, answer.status, "runs/create: the answer names no run_id", {}};
  return answer;
}

MlflowAnswer MlflowRest::find_experiment() {
  const std::string query = "experiments/get-by-name?experiment_name=" + HttpSession::escape(settings_.experiment_name);
  MlflowAnswer answer = get(query);
  if (answer.kind == Kind::kRefused && answer.status == 404) {
    answer = post("experiments/create", {{"name", settings_.experiment_name}});
    if (answer.kind == Kind::kDone) settings_.experiment_id = text_of(answer.json, "experiment_id");
    // Somebody else may have made it in between.
    if (answer.kind == Kind::kRefused) answer = get(query);
  }
  if (answer.kind != Kind::kDone) return answer;
  if (settings_.experiment_id.empty()) {
    settings_.experiment_id = text_of(answer.json.value("experiment", Json::object()), "experiment_id");
  }
  if (settings_.experiment_id.empty()) {
    return {Kind::kRefused, answer.status, "experiments/get-by-name: the answer names no experiment_id", {}};
  }
  return answer;
}

MlflowAnswer MlflowRest::attach() {
  MlflowAnswer answer = get("runs/get?run_id=" + HttpSession::escape(settings_.run_id));
  if (answer.kind != Kind::kDone) return answer;
  const Json data = answer.json.value("run", Json::object()).value("data", Json::object());
  for (const Json& param : data.value("params", Json::array())) known_params_.insert(text_of(param, "key"));
  return settings_.platform_owns_run ? answer : update_status("RUNNING");
}

MlflowAnswer MlflowRest::log_batch(Json metrics, Json params, Json tags) {
  return post("runs/log-batch", {{"run_id", settings_.run_id},
                                 {"metrics", std::move(metrics)},
                                 {"params", std::move(params)},
                                 {"tags", std::move(tags)}});
}

MlflowAnswer MlflowRest::update_status(const std::string& status) {
  Json body = {{"run_id", settings_.run_id}, {"status", status}};
  if (status != "RUNNING") body["end_time"] = now_ms();
  return post("runs/update", body);
}

MlflowAnswer MlflowRest::call(const std::string& endpoint, const std::string& body) {
  renew_token(/*even_if_valid=*/false);
  const std::string url = settings_.base_url + "/api/2.0/mlflow/" + endpoint;
  HttpResponse response = request(url, body);
  if (response.status == 401 && !settings_.token_url.empty()) {
    renew_token(/*even_if_valid=*/true);
    response = request(url, body);
  }
  MlflowAnswer answer;
  answer.status = response.status;
  answer.json = Json::parse(response.body, nullptr, /*allow_exceptions=*/false);
  if (!answer.json.is_object()) answer.json = Json::object();
  if (response.status == 200) {
    answer.kind = Kind::kDone;
    return answer;
  }
  answer.kind = may_work_later(response.status) ? Kind::kFailed : Kind::kRefused;
  const std::string name = endpoint.substr(0, endpoint.find('?'));
  answer.error =
      name + ": " + (response.status == 0 ? response.error : "HTTP status " + std::to_string(response.status)) +
      (text_of(answer.json, "message").empty() ? "" : ": " + cut_value(text_of(answer.json, "message"), 300));
  return answer;
}

HttpResponse MlflowRest::request(const std::string& url, const std::string& body) {
  HttpRequest request;
  request.url = url;
  request.body = body;
  request.token = settings_.token;
  request.username = settings_.username;
  request.password = settings_.password;
  request.verify_certificate = settings_.verify_certificate;
  request.connect_seconds = settings_.connect_seconds;
  request.total_seconds = settings_.request_seconds;
  return session_.send(request, should_stop_);
}

void MlflowRest::renew_token(bool even_if_valid) {
  constexpr double kDueSeconds = 300;   // before its end
  constexpr double kPauseSeconds = 30;  // between two tries
  if (settings_.token_url.empty()) return;
  const double now = core::system_clock().unix_seconds();
  const double end = token_end_seconds(settings_.token);
  const bool is_due = even_if_valid || (end > 0 && end - now < kDueSeconds);
  if (!is_due || now - last_renewal_seconds_ < kPauseSeconds) return;
  last_renewal_seconds_ = now;
  const HttpResponse response = request(settings_.token_url, "");
  if (response.status != 200) return;  // the old token may do for a while; calls report it if not
  const std::string token = text_of(Json::parse(response.body, nullptr, /*allow_exceptions=*/false), "token");
  if (!token.empty()) settings_.token = token;
}

}  // namespace txtsum::app
