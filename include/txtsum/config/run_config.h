#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace txtsum::config {

class FieldVisitor;
class Complaints;

enum class Device { kCpu, kCuda };
inline std::vector<std::string_view> choice_names(Device) { return {"cpu", "cuda"}; }

/// Section `run`: where a run goes and how it is repeated.
struct RunConfig {
  std::string name;              ///< Label in reports; the loader sets an empty one to the config file's stem.
  std::string output;            ///< Run folder; the loader sets an empty one to runs/<name>.
  int64_t seed = 42;             ///< Seed of order, dropout and random weights.
  std::string resume = "auto";   ///< `auto`, `never`, or a path (run folder or checkpoints/step-N).
  bool overwrite = false;        ///< Whether an existing run in `output` may be deleted first.
  Device device = Device::kCpu;  ///< Where tensors live.
  int64_t threads = 0;           ///< CPU threads; 0 is all that the process may use.

  void describe(FieldVisitor& visitor);
  void check(Complaints& complaints) const;
};

}  // namespace txtsum::config
