#include "app/trace_observer.h"

#include <torch/csrc/autograd/profiler_kineto.h>

#include <set>
#include <utility>

#include "txtsum/core/log.h"

namespace txtsum::app {
namespace {

namespace profiler = torch::profiler::impl;

std::set<profiler::ActivityType> activities(bool on_gpu) {
  std::set<profiler::ActivityType> types{profiler::ActivityType::CPU};
  if (on_gpu) types.insert(profiler::ActivityType::CUDA);
  return types;
}

}  // namespace

TraceObserver::TraceObserver(const config::ReportConfig& config, bool on_gpu, std::string path)
    : from_(config.trace_from), updates_(config.trace_updates), on_gpu_(on_gpu), path_(std::move(path)) {
  // The first update is traced from its start.
  if (from_ == 1) begin();
}

TraceObserver::~TraceObserver() {
  if (running_) torch::autograd::profiler::disableProfiler();
}

void TraceObserver::on_update(const train::UpdateRecord&) {
  ++done_;
  if (running_ && done_ >= from_ + updates_ - 1) end();
  if (!running_ && done_ == from_ - 1) begin();
}

void TraceObserver::on_phase(train::Phase phase) {
  if (running_ && phase != train::Phase::kTrain) end();
}

void TraceObserver::begin() {
  const profiler::ProfilerConfig config(profiler::ProfilerState::KINETO);
  torch::autograd::profiler::prepareProfiler(config, activities(on_gpu_));
  torch::autograd::profiler::enableProfiler(config, activities(on_gpu_));
  running_ = true;
}

void TraceObserver::end() {
  running_ = false;
  torch::autograd::profiler::disableProfiler()->save(path_);
  core::log_info("trace of " + std::to_string(done_ - from_ + 1) + " updates: " + path_);
}

}  // namespace txtsum::app
