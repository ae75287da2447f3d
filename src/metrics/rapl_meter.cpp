#include "metrics/rapl_meter.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <utility>

namespace txtsum::metrics {
namespace {

namespace fs = std::filesystem;

struct FileText {
  std::string text;
  int error = 0;
};

// Files of /sys have no true size, and the system's reason matters here: hence not core::read_file.
FileText read_sysfs(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "r");
  if (!file) return {"", errno};
  char buffer[128];
  const size_t count = std::fread(buffer, 1, sizeof(buffer), file);
  const int error = std::ferror(file) ? errno : 0;
  std::fclose(file);
  std::string text(buffer, count);
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return {text, error};
}

struct Reading {
  std::optional<uint64_t> microjoules;
  std::string problem;
};

Reading read_number(const std::string& path) {
  const FileText file = read_sysfs(path);
  if (file.error != 0) return {std::nullopt, path + ": " + std::strerror(file.error)};
  uint64_t value = 0;
  const auto [end, status] = std::from_chars(file.text.data(), file.text.data() + file.text.size(), value);
  if (status != std::errc() || end != file.text.data() + file.text.size()) {
    return {std::nullopt, path + ": '" + file.text + "' is not a number"};
  }
  return {value, ""};
}

Reading read_counter(const std::string& folder) { return read_number(folder + "/energy_uj"); }

std::vector<std::string> domain_folders(const std::string& root) {
  std::vector<std::string> folders;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(root, error)) {
    const std::string name = entry.path().filename().string();
    // intel-rapl:0 is a package, intel-rapl:0:1 a part of it; intel-rapl-mmio:* repeats the packages.
    if (name.rfind("intel-rapl:", 0) == 0) folders.push_back(entry.path().string());
  }
  std::sort(folders.begin(), folders.end());
  // The class folder is flat on a live system; a copied or bind-mounted tree nests the parts in their package.
  const size_t top = folders.size();
  for (size_t i = 0; i < top; ++i) {
    for (const auto& entry : fs::directory_iterator(folders[i], error)) {
      const std::string name = entry.path().filename().string();
      if (name.rfind("intel-rapl:", 0) != 0) continue;
      const std::string flat = root + "/" + name;
      if (std::find(folders.begin(), folders.begin() + static_cast<std::ptrdiff_t>(top), flat) ==
          folders.begin() + static_cast<std::ptrdiff_t>(top)) {
        folders.push_back(entry.path().string());
      }
    }
  }
  return folders;
}

/// True when both folders show one counter: the second reading lies between two of the first, taken around it.
bool same_counter(const RaplDomain& first, const RaplDomain& second) {
  if (first.range_microjoules != second.range_microjoules) return false;
  const Reading before = read_counter(first.folder);
  const Reading between = read_counter(second.folder);
  const Reading after = read_counter(first.folder);
  if (!before.microjoules || !between.microjoules || !after.microjoules) return false;
  return *before.microjoules <= *between.microjoules && *between.microjoules <= *after.microjoules;
}

/// Adds the domain unless a kept one shows the same counter.
void keep_domain(std::vector<RaplDomain>& kept, RaplDomain domain, std::string& note) {
  for (const RaplDomain& other : kept) {
    if (other.name != domain.name && !same_counter(other, domain)) continue;
    note += (note.empty() ? "" : "; ") + domain.folder + " repeats " + other.folder + " and is counted once";
    return;
  }
  kept.push_back(std::move(domain));
}

std::string way_out(const std::string& root) {
  return "make it readable (chmod a+r " + root + "/intel-rapl*/energy_uj as root; in a container, mount the host's " +
         "folder and name it in resources.rapl_root)";
}

std::string package_name_of(const std::string& folder) {
  // intel-rapl:0:1 belongs to intel-rapl:0.
  const std::string name = fs::path(folder).filename().string();
  return name.substr(0, name.rfind(':'));
}

}  // namespace

RaplTree scan_rapl(const std::string& root) {
  RaplTree tree;
  std::string package_failure;
  std::string dram_failure;
  for (const std::string& folder : domain_folders(root)) {
    RaplDomain domain{folder, read_sysfs(folder + "/name").text, 0, 0};
    const bool package = domain.name.rfind("package", 0) == 0;
    const bool dram = domain.name == "dram";
    if (!package && !dram) continue;
    if (dram) domain.name = package_name_of(folder) + " dram";
    const Reading reading = read_counter(folder);
    if (!reading.microjoules) {
      (package ? package_failure : dram_failure) = reading.problem;
      continue;
    }
    domain.last_microjoules = *reading.microjoules;
    domain.range_microjoules = read_number(folder + "/max_energy_range_uj").microjoules.value_or(0);
    keep_domain(package ? tree.packages : tree.drams, std::move(domain), tree.note);
  }
  // A part of the packages would be a wrong sum: all or nothing.
  if (!package_failure.empty()) {
    tree.packages.clear();
    tree.package_problem = "RAPL: cannot read " + package_failure + "; " + way_out(root);
  } else if (tree.packages.empty()) {
    tree.package_problem = "RAPL: no package counter under " + root + " (usual in virtual machines and containers)";
  }
  if (!dram_failure.empty()) {
    tree.drams.clear();
    tree.dram_problem = "RAPL: cannot read " + dram_failure + "; " + way_out(root);
  } else if (tree.drams.empty()) {
    tree.dram_problem = "RAPL: no dram counter under " + root;
  }
  return tree;
}

RaplMeter::RaplMeter(EnergyComponent component, std::vector<RaplDomain> domains, std::string note)
    : component_(component), domains_(std::move(domains)), note_(std::move(note)) {}

MeterInfo RaplMeter::info() const {
  std::string source = "RAPL";
  for (size_t i = 0; i < domains_.size(); ++i) source += (i == 0 ? " " : " + ") + domains_[i].name;
  std::string note = note_;
  if (resets_ > 0) note += (note.empty() ? "" : "; ") + std::to_string(resets_) + " resets of a counter";
  if (failures_ > 0) {
    note += (note.empty() ? "" : "; ") + std::to_string(failures_) + " reads failed (" + last_problem_ + ")";
  }
  return {component_, Provenance::kMeasured, source, note};
}

double RaplMeter::read_joules() {
  for (RaplDomain& domain : domains_) {
    const Reading reading = read_counter(domain.folder);
    if (!reading.microjoules) {
      ++failures_;
      last_problem_ = reading.problem;
      continue;
    }
    const uint64_t now = *reading.microjoules;
    uint64_t used = now - domain.last_microjoules;
    if (now < domain.last_microjoules) {
      if (domain.range_microjoules >= domain.last_microjoules) {
        used = domain.range_microjoules - domain.last_microjoules + now;
      } else {
        ++resets_;
        used = now;
      }
    }
    joules_ += static_cast<double>(used) * 1e-6;
    domain.last_microjoules = now;
  }
  return joules_;
}

}  // namespace txtsum::metrics
