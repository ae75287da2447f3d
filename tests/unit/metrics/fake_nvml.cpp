// A driver library of one card, to test that NVML is opened and called as its ABI wants.
#include <cstdio>
#include <cstring>

namespace {
int card = 0;
constexpr int kNotFound = 6;
constexpr int kInsufficientSize = 7;

struct ProcessInfo {
  unsigned int pid;
  unsigned long long used_memory;
  unsigned int gpu_instance;
  unsigned int compute_instance;
};

int list(unsigned int first, unsigned int step, unsigned int there, unsigned int* count, ProcessInfo* processes) {
  const unsigned int room = *count;
  *count = there;
  if (room < there) return kInsufficientSize;
  for (unsigned int i = 0; i < there; ++i) processes[i] = {first + step * i, 1ULL << 30, 0xFFFFFFFF, 0xFFFFFFFF};
  return 0;
}
}  // namespace

extern "C" {

int nvmlInit_v2() { return 0; }
int nvmlShutdown() { return 0; }
const char* nvmlErrorString(int status) { return status == kNotFound ? "Not Found" : "Other"; }

int nvmlDeviceGetHandleByPciBusId_v2(const char* id, void** device) {
  if (std::strcmp(id, "0000:3b:00.0") != 0) return kNotFound;
  *device = &card;
  return 0;
}

int nvmlDeviceGetName(void*, char* name, unsigned int length) {
  std::snprintf(name, length, "Test Card");
  return 0;
}

int nvmlDeviceGetTotalEnergyConsumption(void*, unsigned long long* millijoules) {
  *millijoules = 123456789012ULL;
  return 0;
}

int nvmlDeviceGetPowerUsage(void*, unsigned int* milliwatts) {
  *milliwatts = 250000;
  return 0;
}

int nvmlDeviceGetUtilizationRates(void*, unsigned int* rates) {
  rates[0] = 75;
  rates[1] = 40;
  return 0;
}

int nvmlDeviceGetMemoryInfo(void*, unsigned long long* info) {
  info[0] = 10000;
  info[1] = 7000;
  info[2] = 3000;
  return 0;
}

int nvmlSystemGetDriverVersion(char* version, unsigned int length) {
  std::snprintf(version, length, "580.65.06");
  return 0;
}

int nvmlDeviceGetComputeRunningProcesses_v3(void*, unsigned int* count, ProcessInfo* processes) {
  return list(1000, 1, 100, count, processes);
}

int nvmlDeviceGetGraphicsRunningProcesses_v3(void*, unsigned int* count, ProcessInfo* processes) {
  return list(1000, 4000, 2, count, processes);
}
}
