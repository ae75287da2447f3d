#pragma once

#include <c10/core/Device.h>

#include <cstdlib>

#include "txtsum/ops/device.h"

namespace txtsum::tests {

/// Where the tests work: the CPU, or what TXTSUM_TEST_DEVICE names (`cuda`).
inline c10::Device test_device() {
  static const c10::Device device = [] {
    const char* name = std::getenv("TXTSUM_TEST_DEVICE");
    const c10::Device chosen(name != nullptr ? name : "cpu");
    ops::use_device(chosen);
    return chosen;
  }();
  return device;
}

}  // namespace txtsum::tests
