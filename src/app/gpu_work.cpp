#include "app/gpu_work.h"

#include <algorithm>
#include <cstdio>

namespace txtsum::app {
namespace {

double fill_share(const train::GpuWork& work) {
  return 1.0 - static_cast<double>(work.tokens) / static_cast<double>(std::max<int64_t>(work.padded_tokens, 1));
}

double waited_share(const train::GpuWork& work) {
  return work.waited_seconds / std::max(work.busy_seconds + work.waited_seconds, 1e-9);
}

}  // namespace

std::string gpu_work_text(const train::GpuWork& work) {
  char text[256];
  std::snprintf(text, sizeof(text),
                "GPU: %lld shapes of batches, %lld captured as graphs in %.1f s, %lld of %lld micro-batches ran as a "
                "graph, %.1f %% of the tokens only fill up, waited %.1f %% of the time",
                static_cast<long long>(work.shapes), static_cast<long long>(work.graphs), work.capture_seconds,
                static_cast<long long>(work.replays), static_cast<long long>(work.replays + work.eager_runs),
                100.0 * fill_share(work), 100.0 * waited_share(work));
  return text;
}

core::Json to_json(const train::GpuWork& work) {
  return {{"shapes", work.shapes},
          {"graphs", work.graphs},
          {"capture_seconds", work.capture_seconds},
          {"replays", work.replays},
          {"eager_runs", work.eager_runs},
          {"tokens", work.tokens},
          {"padded_tokens", work.padded_tokens},
          {"share_of_tokens_that_fill_up", fill_share(work)},
          {"busy_seconds", work.busy_seconds},
          {"waited_seconds", work.waited_seconds},
          {"share_waited", waited_share(work)}};
}

core::Json to_json(const train::RankWork& work) {
  return {{"world", work.world},
          {"zero_stage", work.zero_stage},
          {"block_elements", work.block_elements},
          {"frozen_elements", work.frozen_elements},
          {"weight_bytes", work.weight_bytes},
          {"gradient_bytes", work.gradient_bytes},
          {"master_bytes", work.master_bytes},
          {"moment_bytes", work.moment_bytes},
          {"host_bytes", work.host_bytes},
          {"reduce_scatter_elements", work.reduce_scatter_elements},
          {"all_gather_elements", work.all_gather_elements}};
}

}  // namespace txtsum::app
