#pragma once

#include <string>

#include "txtsum/config/report_config.h"
#include "txtsum/core/json.h"
#include "txtsum/train/observer.h"

namespace txtsum::app {

/// Writes a Chrome trace of some updates: operations of the host and, on a GPU, kernels, those within graphs too. Made
/// by LibTorch's profiler (Kineto). Where the next update runs ahead, the trace begins and ends in the middle of one.
class TraceObserver final : public train::TrainObserver {
 public:
  TraceObserver(const config::ReportConfig& config, bool on_gpu, std::string path);
  ~TraceObserver() override;

  void on_update(const train::UpdateRecord& record) override;
  void on_phase(train::Phase phase) override;

 private:
  void begin();
  void end();

  int64_t from_, updates_;
  bool on_gpu_;
  std::string path_;
  int64_t done_ = 0;  // updates of this attempt
  bool running_ = false;
};

}  // namespace txtsum::app
