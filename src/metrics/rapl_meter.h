#pragma once

#include <string>
#include <vector>

#include "txtsum/metrics/energy_meter.h"

namespace txtsum::metrics {

/// One domain of Intel's (and, under the same names, AMD's) running average power limit counters.
struct RaplDomain {
  std::string folder;
  std::string name;                ///< package-N or dram, with the package's name in front of dram.
  uint64_t range_microjoules = 0;  ///< Where the counter wraps to 0; 0 when unknown.
  uint64_t last_microjoules = 0;
};

/// The domains that add up without overlap: packages, and dram, which lies outside the packages. psys, core and uncore
/// overlap with them and are left out; a counter that the kernel shows twice is kept once.
struct RaplTree {
  std::vector<RaplDomain> packages;
  std::vector<RaplDomain> drams;
  std::string package_problem;  ///< Why there are no packages, and the way out.
  std::string dram_problem;
  std::string note;  ///< Counters that were exposed twice.
};

RaplTree scan_rapl(const std::string& root);

/// Sum of the counters of some domains.
class RaplMeter : public EnergyMeter {
 public:
  RaplMeter(EnergyComponent component, std::vector<RaplDomain> domains, std::string note);
  MeterInfo info() const override;
  double read_joules() override;

 private:
  EnergyComponent component_;
  std::vector<RaplDomain> domains_;
  std::string note_;
  double joules_ = 0;
  int resets_ = 0;
  int failures_ = 0;
  std::string last_problem_;
};

}  // namespace txtsum::metrics
