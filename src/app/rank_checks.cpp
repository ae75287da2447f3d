#include "app/rank_checks.h"

#include <chrono>
#include <filesystem>
#include <random>
#include <system_error>
#include <thread>
#include <vector>

#include "app/run_ledger.h"
#include "txtsum/config/dump.h"
#include "txtsum/core/error.h"
#include "txtsum/core/file.h"
#include "txtsum/core/json.h"
#include "txtsum/io/piece_file.h"

namespace txtsum::app {
namespace {

namespace fs = std::filesystem;

/// How long a network file system may take to show what another machine has written.
constexpr std::chrono::seconds kPatience(3);
constexpr std::chrono::milliseconds kPause(50);

bool may_differ(const std::string& key) { return key == "run.threads" || key.starts_with("resources."); }

/// What every rank says, in rank order.
std::vector<core::Json> said_by_all(const core::Json& own, parallel::Communicator& ranks) {
  std::vector<core::Json> all;
  for (const std::string& bytes : ranks.gather_bytes(core::to_line(own))) all.push_back(core::Json::parse(bytes));
  return all;
}

std::string text_of(const core::Json& json, const char* key) { return json.at(key).get<std::string>(); }

std::string rank_in_words(size_t rank, const core::Json& said) {
  return "rank " + std::to_string(rank) + " (" + text_of(said, "place") + ")";
}

std::string random_name() {
  std::random_device source;
  std::string digits;
  for (int i = 0; i < 4; ++i) digits += std::to_string(source());
  return ".shared-" + core::content_hash(digits);
}

/// A file that is gone when this is.
struct TemporaryFile {
  std::string path;
  ~TemporaryFile() {
    std::error_code ignored;
    if (!path.empty()) fs::remove(path, ignored);
  }
};

/// Empty, or why the file that rank 0 wrote is not what this rank sees.
std::string look_for(const std::string& path, const std::string& content) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (true) {
    try {
      if (core::read_file(path).starts_with(content)) return "";
    } catch (const core::DataError&) {
      // Not there yet, or never.
    }
    if (std::chrono::steady_clock::now() >= end) return "does not see what rank 0 wrote there";
    std::this_thread::sleep_for(kPause);
  }
}

/// Empty, or why this rank cannot write its part of a file there.
std::string try_to_write(const std::string& path, uint64_t place) {
  try {
    io::PieceFile file = io::PieceFile::open(path);
    file.write(place, ".");
    file.publish();
    return "";
  } catch (const core::DataError& error) {
    return std::string("cannot write there: ") + error.what();
  }
}

}  // namespace

void require_same_config(const config::ExperimentConfig& config, parallel::Communicator& ranks) {
  if (ranks.world() == 1) return;
  core::Json own{{"place", host_name()}, {"values", core::Json::object()}};
  for (const config::KeyValue& entry : config::list_values(config)) {
    if (!may_differ(entry.key)) own["values"][entry.key] = entry.value;
  }
  const std::vector<core::Json> all = said_by_all(own, ranks);
  const core::Json& first = all.front().at("values");
  for (size_t rank = 1; rank < all.size(); ++rank) {
    const core::Json& other = all[rank].at("values");
    for (const auto& [key, value] : first.items()) {
      const std::string found = other.value(key, "nothing");
      if (found == value.get<std::string>()) continue;
      throw core::UserError(rank_in_words(rank, all[rank]) + " has " + key + "=" + found + ", " +
                            rank_in_words(0, all.front()) + " has " + value.get<std::string>() +
                            ": start all ranks with the same config and arguments");
    }
  }
}

void require_shared_folder(const config::ExperimentConfig& config, parallel::Communicator& ranks) {
  if (ranks.world() == 1) return;
  const std::string& folder = config.run.output;
  core::Json own{{"place", host_name() + ", " + fs::absolute(folder).string()}, {"name", ""}, {"problem", ""}};
  TemporaryFile made;
  if (ranks.rank() == 0) {
    const std::string name = random_name();
    own["name"] = name;
    made.path = folder + "/" + name;
    try {
      core::write_file(folder + "/" + name, name);
    } catch (const core::DataError& error) {
      own["problem"] = std::string("cannot write there: ") + error.what();
    }
  }
  std::vector<core::Json> all = said_by_all(own, ranks);
  const std::string name = text_of(all.front(), "name"), path = folder + "/" + name;
  if (text_of(all.front(), "problem").empty()) {
    own["problem"] = look_for(path, name);
    const bool writes = config.checkpoint.publish == config::Publish::kRename;
    if (writes && text_of(own, "problem").empty()) {
      own["problem"] = try_to_write(path, name.size() + static_cast<uint64_t>(ranks.rank()));
    }
    all = said_by_all(own, ranks);
  }
  for (size_t rank = 0; rank < all.size(); ++rank) {
    const std::string problem = text_of(all[rank], "problem");
    if (problem.empty()) continue;
    if (rank == 0) throw core::DataError("run.output=" + folder + ": " + rank_in_words(0, all.front()) + " " + problem);
    throw core::UserError("run.output=" + folder + ": " + rank_in_words(rank, all[rank]) + " " + problem + "; it is " +
                          text_of(all.front(), "place") +
                          " for rank 0. Name a folder on a file system that all machines have, at the same path; with "
                          "checkpoint.publish=in_place rank 0 alone writes");
  }
}

}  // namespace txtsum::app
