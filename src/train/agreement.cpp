#include "agreement.h"

#include <array>
#include <vector>

#include "txtsum/core/stop_signal.h"
#include "txtsum/parallel/agreed_stop.h"

namespace txtsum::train {

LengthProducts length_products(const GlobalBatch& batch, const model::ModelFacts& facts) {
  LengthProducts sums;
  for (const MicroBatch& micro : batch.micro_batches) {
    for (size_t i = 0; i + 1 < micro.source.offsets.size(); ++i) {
      const int64_t source_tokens = micro.source.offsets[i + 1] - micro.source.offsets[i];
      const auto source = static_cast<double>(source_tokens);
      const auto target = static_cast<double>(micro.labels.offsets[i + 1] - micro.labels.offsets[i]);
      sums.source_pairs += model::source_pairs(facts, source_tokens);
      sums.target_squared += target * target;
      sums.source_times_target += source * target;
    }
  }
  return sums;
}

int agree(parallel::Communicator& ranks, UpdateRecord& record) {
  if (ranks.world() == 1) return core::stop_signal();
  const std::array<double, 2> votes = parallel::stop_votes();
  std::vector<double> sums{ranks.rank() == 0 ? record.seconds : 0.0,
                           votes[0],
                           votes[1],
                           static_cast<double>(record.examples),
                           static_cast<double>(record.source_tokens),
                           record.lengths.source_pairs,
                           record.lengths.target_squared,
                           record.lengths.source_times_target};
  ranks.all_reduce(sums);
  record.seconds = sums[0];
  record.examples = static_cast<int64_t>(sums[3]);
  record.source_tokens = static_cast<int64_t>(sums[4]);
  record.lengths = {sums[5], sums[6], sums[7]};
  return parallel::signal_of({sums[1], sums[2]});
}

}  // namespace txtsum::train
