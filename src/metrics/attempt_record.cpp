#include "txtsum/metrics/attempt_record.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "txtsum/core/clock.h"
#include "txtsum/core/error.h"
#include "txtsum/core/file.h"

namespace txtsum::metrics {
namespace {

namespace fs = std::filesystem;

template <typename Value>
core::Json optional_json(const std::optional<Value>& value) {
  return value ? core::Json(*value) : core::Json(nullptr);
}

template <typename Value>
std::optional<Value> optional_value(const core::Json& json) {
  if (json.is_null()) return std::nullopt;
  return json.get<Value>();
}

core::Json phase_to_json(const PhaseRecord& phase) {
  core::Json json;
  json["seconds"] = phase.seconds;
  json["device_seconds"] = phase.device_seconds;
  json["joules_by_meter"] = phase.joules;
  json["peak_watts"] = optional_json(phase.peak_watts);
  json["cpu_busy_seconds"] = phase.cpu_busy_seconds;
  json["cpu_observed_seconds"] = phase.cpu_observed_seconds;
  json["process_cpu_seconds"] = phase.process_cpu_seconds;
  json["device_busy_seconds"] = phase.device_busy_seconds;
  json["device_observed_seconds"] = phase.device_observed_seconds;
  json["peak_device_memory_bytes"] = optional_json(phase.peak_device_memory_bytes);
  json["peak_host_rss_bytes"] = optional_json(phase.peak_host_rss_bytes);
  json["examples"] = phase.work.examples;
  json["source_tokens"] = phase.work.source_tokens;
  json["target_tokens"] = phase.work.target_tokens;
  json["updates"] = phase.work.updates;
  json["summaries"] = phase.work.summaries;
  json["flops"] = phase.work.flops;
  json["spared_backward_flops"] = phase.work.spared_backward_flops;
  json["spared_encoder_flops"] = phase.work.spared_encoder_flops;
  return json;
}

PhaseRecord phase_from_json(const core::Json& json) {
  PhaseRecord phase;
  phase.seconds = json.at("seconds").get<double>();
  phase.device_seconds = json.at("device_seconds").get<double>();
  phase.joules = json.at("joules_by_meter").get<std::vector<double>>();
  phase.peak_watts = optional_value<double>(json.at("peak_watts"));
  phase.cpu_busy_seconds = json.at("cpu_busy_seconds").get<double>();
  phase.cpu_observed_seconds = json.at("cpu_observed_seconds").get<double>();
  phase.process_cpu_seconds = json.at("process_cpu_seconds").get<double>();
  phase.device_busy_seconds = json.at("device_busy_seconds").get<double>();
  phase.device_observed_seconds = json.at("device_observed_seconds").get<double>();
  phase.peak_device_memory_bytes = optional_value<int64_t>(json.at("peak_device_memory_bytes"));
  phase.peak_host_rss_bytes = optional_value<int64_t>(json.at("peak_host_rss_bytes"));
  phase.work.examples = json.at("examples").get<int64_t>();
  phase.work.source_tokens = json.at("source_tokens").get<int64_t>();
  phase.work.target_tokens = json.at("target_tokens").get<int64_t>();
  phase.work.updates = json.at("updates").get<int64_t>();
  phase.work.summaries = json.at("summaries").get<int64_t>();
  phase.work.flops = json.at("flops").get<double>();
  // Records of earlier versions do not have these.
  phase.work.spared_backward_flops = json.value("spared_backward_flops", 0.0);
  phase.work.spared_encoder_flops = json.value("spared_encoder_flops", 0.0);
  return phase;
}

core::Json meters_to_json(const AttemptRecord& record) {
  core::Json meters = core::Json::array();
  for (const MeterInfo& meter : record.meters) {
    meters.push_back({{"component", energy_component_name(meter.component)},
                      {"tag", provenance_name(meter.provenance)},
                      {"source", meter.source},
                      {"note", meter.note}});
  }
  return meters;
}

core::Json idle_to_json(const std::vector<IdlePower>& idle) {
  core::Json list = core::Json::array();
  for (const IdlePower& power : idle) {
    list.push_back({{"component", energy_component_name(power.component)},
                    {"watts", power.watts},
                    {"seconds", power.seconds},
                    {"source", power.source}});
  }
  return list;
}

core::Json sharing_to_json(const std::vector<DeviceSharing>& sharing) {
  core::Json list = core::Json::array();
  for (const DeviceSharing& device : sharing) {
    list.push_back({{"device", device.device},
                    {"mig", optional_json(device.mig)},
                    {"other_processes", optional_json(device.other_processes)},
                    {"note", device.note}});
  }
  return list;
}

/// What records of earlier versions do not have.
void parse_surroundings(const core::Json& json, AttemptRecord& record) {
  for (const core::Json& item : json.value("idle", core::Json::array())) {
    record.idle.push_back({energy_component_from_name(item.at("component").get<std::string>()),
                           item.at("watts").get<double>(), item.at("seconds").get<double>(),
                           item.at("source").get<std::string>()});
  }
  for (const core::Json& item : json.value("sharing", core::Json::array())) {
    record.sharing.push_back({item.at("device").get<std::string>(), optional_value<bool>(item.at("mig")),
                              optional_value<int>(item.at("other_processes")), item.at("note").get<std::string>()});
  }
}

AttemptRecord parse_record(const core::Json& json) {
  AttemptRecord record;
  record.attempt = json.at("attempt").get<int>();
  record.outcome = json.at("outcome").get<std::string>();
  record.start_unix_seconds = json.at("start_unix_seconds").get<double>();
  record.end_unix_seconds = json.at("end_unix_seconds").get<double>();
  record.host_name = json.at("host_name").get<std::string>();
  record.device_name = json.at("device_name").get<std::string>();
  record.device_count = json.at("device_count").get<int>();
  record.resumed_from_update = json.at("resumed_from_update").get<int64_t>();
  record.last_update = json.at("last_update").get<int64_t>();
  record.peak_host_rss_bytes = optional_value<int64_t>(json.at("peak_host_rss_bytes"));
  record.failed_writes = json.at("failed_writes").get<int64_t>();
  for (const core::Json& meter : json.at("meters")) {
    record.meters.push_back({energy_component_from_name(meter.at("component").get<std::string>()),
                             provenance_from_name(meter.at("tag").get<std::string>()),
                             meter.at("source").get<std::string>(), meter.at("note").get<std::string>()});
  }
  for (const core::Json& item : json.at("missing")) {
    record.missing.push_back(
        {energy_component_from_name(item.at("component").get<std::string>()), item.at("reason").get<std::string>()});
  }
  parse_surroundings(json, record);
  for (int i = 0; i < kPhaseCount; ++i) {
    const Phase phase = static_cast<Phase>(i);
    record.phase(phase) = phase_from_json(json.at("phases").at(std::string(phase_name(phase))));
    if (record.phase(phase).joules.size() < record.meters.size()) {
      throw core::DataError("phase " + std::string(phase_name(phase)) + " has fewer joules than there are meters");
    }
  }
  return record;
}

/// The number in `attempt-0001.json`; 0 for any other name.
int attempt_number(const std::string& file_name) {
  int number = 0;
  int used = 0;
  const int fields = std::sscanf(file_name.c_str(), "attempt-%d.json%n", &number, &used);
  return fields == 1 && used > 0 && static_cast<size_t>(used) == file_name.size() && number > 0 ? number : 0;
}

std::vector<int> attempt_numbers(const std::string& folder) {
  std::vector<int> numbers;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (const int number = attempt_number(entry.path().filename().string())) numbers.push_back(number);
  }
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

}  // namespace

std::string_view phase_name(Phase phase) {
  switch (phase) {
    case Phase::kLoad:
      return "load";
    case Phase::kTrain:
      return "train";
    case Phase::kValidate:
      return "validate";
    case Phase::kGenerate:
      return "generate";
    case Phase::kSave:
      break;
  }
  return "save";
}

Work& Work::operator+=(const Work& other) {
  examples += other.examples;
  source_tokens += other.source_tokens;
  target_tokens += other.target_tokens;
  updates += other.updates;
  summaries += other.summaries;
  flops += other.flops;
  spared_backward_flops += other.spared_backward_flops;
  spared_encoder_flops += other.spared_encoder_flops;
  return *this;
}

double AttemptRecord::seconds() const {
  double sum = 0;
  for (const PhaseRecord& phase : phases) sum += phase.seconds;
  return sum;
}

core::Json to_json(const AttemptRecord& record) {
  core::Json json;
  json["attempt"] = record.attempt;
  json["outcome"] = record.outcome;
  json["start_utc"] = core::format_utc(record.start_unix_seconds);
  json["start_unix_seconds"] = record.start_unix_seconds;
  json["end_unix_seconds"] = record.end_unix_seconds;
  json["seconds"] = record.seconds();
  json["host_name"] = record.host_name;
  json["device_name"] = record.device_name;
  json["device_count"] = record.device_count;
  json["resumed_from_update"] = record.resumed_from_update;
  json["last_update"] = record.last_update;
  json["peak_host_rss_bytes"] = optional_json(record.peak_host_rss_bytes);
  json["failed_writes"] = record.failed_writes;
  json["meters"] = meters_to_json(record);
  json["missing"] = core::Json::array();
  for (const MissingMeter& item : record.missing) {
    json["missing"].push_back({{"component", energy_component_name(item.component)}, {"reason", item.reason}});
  }
  json["idle"] = idle_to_json(record.idle);
  json["sharing"] = sharing_to_json(record.sharing);
  for (int i = 0; i < kPhaseCount; ++i) {
    const Phase phase = static_cast<Phase>(i);
    json["phases"][std::string(phase_name(phase))] = phase_to_json(record.phase(phase));
  }
  return json;
}

AttemptRecord attempt_from_json(const core::Json& json, const std::string& path) {
  try {
    return parse_record(json);
  } catch (const core::Json::exception& error) {
    throw core::DataError(path + ": not an attempt's record: " + error.what());
  } catch (const core::DataError& error) {
    throw core::DataError(path + ": " + error.what());
  }
}

std::string attempt_path(const std::string& folder, int attempt) {
  char name[32];
  std::snprintf(name, sizeof(name), "attempt-%04d.json", attempt);
  return folder + "/" + name;
}

int next_attempt_number(const std::string& folder) {
  const std::vector<int> numbers = attempt_numbers(folder);
  return numbers.empty() ? 1 : numbers.back() + 1;
}

AttemptFiles read_attempts(const std::string& folder) {
  AttemptFiles files;
  for (const int number : attempt_numbers(folder)) {
    const std::string path = attempt_path(folder, number);
    try {
      files.attempts.push_back(attempt_from_json(core::read_json_file(path), path));
    } catch (const core::DataError& error) {
      files.unreadable.push_back(error.what());
    }
  }
  return files;
}

bool mark_failed(const std::string& path) {
  constexpr std::string_view kKey = "\"outcome\": ";
  std::string text;
  try {
    text = core::read_file(path);
  } catch (const core::DataError&) {
    return false;
  }
  const size_t key = text.find(kKey), begin = key + kKey.size();
  const size_t end = key == std::string::npos ? key : text.find('"', begin + 1);
  std::string value = std::string("\"").append(kFailed).append("\"");
  if (end == std::string::npos || end + 1 - begin < value.size()) return false;
  value.resize(end + 1 - begin, ' ');
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(static_cast<std::streamoff>(begin));
  file << value << std::flush;
  return file.good();
}

std::vector<CutShort> attempts_cut_short(const std::vector<AttemptRecord>& attempts) {
  std::vector<CutShort> found;
  for (size_t place = 0; place < attempts.size(); ++place) {
    const bool is_last = place + 1 == attempts.size();
    if (attempts[place].outcome == kRunning && !is_last) found.push_back({place, "killed without notice"});
    if (attempts[place].outcome == kFailed) found.push_back({place, "unable to write its end"});
  }
  return found;
}

RepeatedWork repeated_work(const std::vector<AttemptRecord>& attempts) {
  RepeatedWork repeated;
  int64_t reached = 0;
  for (const AttemptRecord& attempt : attempts) {
    const int64_t again = std::min(reached, attempt.last_update) - attempt.resumed_from_update;
    const PhaseRecord& train = attempt.phase(Phase::kTrain);
    if (again > 0) {
      const double share =
          static_cast<double>(again) / static_cast<double>(attempt.last_update - attempt.resumed_from_update);
      repeated.updates += again;
      repeated.seconds += share * train.seconds;
      for (const double joules : train.joules) repeated.joules += share * joules;
    }
    reached = std::max(reached, attempt.last_update);
  }
  return repeated;
}

}  // namespace txtsum::metrics
