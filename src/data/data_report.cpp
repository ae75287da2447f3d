#include "txtsum/data/data_report.h"

#include <algorithm>
#include <numeric>
#include <unordered_set>

namespace txtsum::data {
namespace {

int64_t percentile(const std::vector<int64_t>& sorted, int64_t percent) {
  const int64_t rank = (static_cast<int64_t>(sorted.size()) * percent + 99) / 100;  // rounded up
  return sorted[static_cast<size_t>(std::max<int64_t>(rank, 1) - 1)];
}

std::vector<LimitCut> cuts_at_limits(const std::vector<int64_t>& sorted) {
  constexpr int64_t kFirstLimit = 64;
  std::vector<LimitCut> cuts;
  for (int64_t limit = kFirstLimit; limit < sorted.back(); limit *= 2) {
    const auto longer = std::upper_bound(sorted.begin(), sorted.end(), limit);
    const int64_t truncated = sorted.end() - longer;
    cuts.push_back({limit, truncated, std::accumulate(sorted.begin(), longer, limit * truncated)});
  }
  return cuts;
}

/// Summarizes the sources (`side` 0) or the targets (1).
LengthSummary summarize_lengths(const Dataset& dataset, int64_t side) {
  LengthSummary summary;
  std::vector<int64_t> lengths;
  for (int64_t i = 0; i < dataset.size(); ++i) {
    const int64_t full = dataset.table().full_lengths[static_cast<size_t>(2 * i + side)];
    const int64_t kept = side == 0 ? dataset.source_length(i) : dataset.target_length(i);
    lengths.push_back(full);
    summary.truncated += full > kept;
    summary.truncated_tokens += full - kept;
  }
  if (lengths.empty()) return summary;
  std::sort(lengths.begin(), lengths.end());
  summary.tokens = std::accumulate(lengths.begin(), lengths.end(), int64_t{0});
  summary.min = lengths.front();
  summary.mean = static_cast<double>(summary.tokens) / static_cast<double>(lengths.size());
  summary.p50 = percentile(lengths, 50);
  summary.p90 = percentile(lengths, 90);
  summary.p95 = percentile(lengths, 95);
  summary.p99 = percentile(lengths, 99);
  summary.max = lengths.back();
  summary.limits = cuts_at_limits(lengths);
  return summary;
}

}  // namespace

DataReport make_data_report(const std::vector<NamedDataset>& splits) {
  DataReport report;
  std::vector<std::unordered_set<uint64_t>> seen(splits.size());
  for (size_t k = 0; k < splits.size(); ++k) {
    const TokenTable& table = splits[k].dataset->table();
    SplitReport split;
    split.name = splits[k].name;
    split.rows_read = table.counts.read;
    split.examples = table.size();
    split.empty_source = table.counts.empty_source;
    split.empty_target = table.counts.empty_target;
    for (const uint64_t hash : table.hashes) split.duplicate_sources += !seen[k].insert(hash).second;
    split.source = summarize_lengths(*splits[k].dataset, 0);
    split.target = summarize_lengths(*splits[k].dataset, 1);
    report.splits.push_back(std::move(split));
    for (size_t earlier = 0; earlier < k; ++earlier) {
      const auto leaked = std::count_if(table.hashes.begin(), table.hashes.end(),
                                        [&](uint64_t hash) { return seen[earlier].count(hash) > 0; });
      report.leaks.push_back({splits[earlier].name, splits[k].name, leaked});
    }
  }
  return report;
}

}  // namespace txtsum::data
