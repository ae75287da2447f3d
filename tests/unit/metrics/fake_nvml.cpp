// A driver library of one card, to test that NVML is opened and called as its ABI wants.
#include <cstdio>
#include <cstring>

namespace {
int card = 0;
constexpr int kNotFound = 6;
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
}
