#include "app/gpu_driver.h"

#include <cstdlib>
#include <sstream>

#include "txtsum/ops/gpu_generation.h"

namespace txtsum::app {
namespace {

constexpr const char* kOrTheCpu = "; or set run.device=cpu";
constexpr int kOldestDriver = 580;  ///< Of CUDA 13, which alone the build takes.

int major_of(int cuda) { return cuda / 1000; }

std::string needed(int runtime_cuda) {
  return "driver " + std::to_string(kOldestDriver) + " or newer, for CUDA " + cuda_version_text(runtime_cuda);
}

std::string too_old(const ops::DriverFacts& driver, const std::string& version) {
  const std::string runtime = cuda_version_text(driver.runtime_cuda);
  std::string package = "cuda-compat-" + runtime;
  package[package.rfind('.')] = '-';
  return "the NVIDIA driver" + (version.empty() ? "" : " " + version) + " serves CUDA " +
         cuda_version_text(driver.driver_cuda) + " at most, and this program needs " + needed(driver.runtime_cuda) +
         ": update the driver; on a data centre's GPU NVIDIA's package " + package +
         " in front of it does too (its folder in LD_LIBRARY_PATH)" + kOrTheCpu;
}

/// Whether code for one of CMake's architectures runs on the capability: 80-real on 8.x from it on, 90a-real on 9.0
/// alone; 80 and 80-virtual hold PTX too, which the driver compiles for any later card. Of names such as `native` that
/// cannot be said: then the driver's own word counts.
bool runs_on(const std::string& architecture, int major, int minor) {
  char* end = nullptr;
  const auto number = static_cast<int>(std::strtol(architecture.c_str(), &end, 10));
  if (number == 0) return true;
  const int capability = 10 * major + minor;
  if (*end == 'a') return number == capability;
  const bool has_ptx = !architecture.ends_with("-real");
  return number <= capability && (has_ptx || number / 10 == major);
}

}  // namespace

std::string cuda_version_text(int number) {
  return std::to_string(major_of(number)) + "." + std::to_string(number % 1000 / 10);
}

std::string driver_problem(const ops::DriverFacts& driver, const std::string& version) {
  // cudaError values that have a way out of their own; they are part of CUDA's interface.
  constexpr int kNoDevice = 100, kSystemDriverMismatch = 803, kCompatNotSupportedOnDevice = 804;
  if (driver.driver_cuda == 0) {
    return "no NVIDIA driver is loaded here, and this program needs " + needed(driver.runtime_cuda) +
           ": install it; a container gets the host's where it is started with its GPUs (docker run --gpus all)" +
           kOrTheCpu;
  }
  if (major_of(driver.driver_cuda) < major_of(driver.runtime_cuda)) return too_old(driver, version);
  switch (driver.error) {
    case 0:
      break;
    case kCompatNotSupportedOnDevice:
      return "NVIDIA's compatibility libraries (cuda-compat) stand in front of the driver" +
             (version.empty() ? "" : " " + version) +
             ", and this GPU may not use them: take their folder out of LD_LIBRARY_PATH and update the driver (" +
             needed(driver.runtime_cuda) + ")" + kOrTheCpu;
    case kSystemDriverMismatch:
      return "libcuda.so.1 is of another driver than the kernel's module" + (version.empty() ? "" : " " + version) +
             ": start the machine again after an update of the driver, and take an older cuda-compat out of "
             "LD_LIBRARY_PATH" +
             kOrTheCpu;
    case kNoDevice:
      break;
    default:
      return "CUDA does not start: " + driver.problem + " (see nvidia-smi)" + kOrTheCpu;
  }
  if (driver.devices > 0) return "";
  return std::string("the driver shows this process no GPU (see nvidia-smi and CUDA_VISIBLE_DEVICES)") + kOrTheCpu;
}

std::string architecture_problem(const ops::DeviceFacts& gpu, const std::string& architectures) {
  std::istringstream list(architectures);
  std::string built;
  for (std::string one; std::getline(list, one, ',');) {
    if (runs_on(one, gpu.major, gpu.minor)) return "";
    const std::string number = one.substr(0, one.find('-'));
    built += (built.empty() ? "" : ", ") + number;
  }
  if (built.empty()) return "";
  return gpu.name + " is of compute capability " + std::to_string(gpu.major) + "." + std::to_string(gpu.minor) +
         ", and this program has code for " + built +
         " alone: build it for that card (-DCMAKE_CUDA_ARCHITECTURES=" + std::to_string(gpu.major) +
         std::to_string(gpu.minor) + "-real)" + kOrTheCpu;
}

std::vector<std::string> fused_on(int major) {
  std::vector<std::string> fused;
  fused.emplace_back("norms, activations, embeddings, losses, AdamW, beam search: every type");
  fused.emplace_back("attention in fp32: without dropout of the probabilities");
  fused.emplace_back(ops::has_flash_attention(major)
                         ? "attention in bf16 and fp16: FlashAttention-2; LED's band; biases by distance and blocks by "
                           "tiles, for heads of 64 and 128"
                         : "attention in fp16: not fused before compute capability 8.0");
  if (ops::has_cudnn_attention(major)) {
    fused.emplace_back("attention of recurring shapes without dropout: cuDNN, encoder and across, up to 2,048 tokens");
  }
  return fused;
}

core::Json driver_json(const ops::DriverFacts& driver, const std::string& version) {
  core::Json json{{"version", version.empty() ? "not found" : version}};
  if (driver.runtime_cuda == 0) {
    json["state"] = "not used: this binary has no code for GPUs (scripts/build.sh cuda)";
    return json;
  }
  json["serves"] = driver.driver_cuda == 0 ? "nothing" : "CUDA " + cuda_version_text(driver.driver_cuda) + " at most";
  json["needed"] = needed(driver.runtime_cuda);
  const std::string problem = driver_problem(driver, version);
  const int number = std::atoi(version.c_str());
  if (!problem.empty()) {
    json["state"] = problem;
  } else if (number > 0 && number < kOldestDriver) {
    json["state"] = "fits, by compatibility libraries (cuda-compat) in front of it";
  } else {
    json["state"] = "fits";
  }
  return json;
}

}  // namespace txtsum::app
