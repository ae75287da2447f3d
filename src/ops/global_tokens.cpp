#include "txtsum/ops/global_tokens.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <numeric>

#include "txtsum/core/check.h"

namespace txtsum::ops {
namespace {

/// The sequence that each of `places` (ascending) lies in.
at::Tensor sequences_of(const at::Tensor& places, const RaggedTokens& tokens) {
  const at::Tensor ends_B = tokens.offsets_B1.narrow(0, 1, tokens.sequences());
  return at::searchsorted(ends_B, places, /*out_int32=*/true, /*right=*/true);
}

void find_sequences(GlobalTokens& globals, const RaggedTokens& tokens) {
  globals.sequence_of_G = sequences_of(globals.rows_G.to(at::kInt), tokens);
  globals.sequence_of_N = sequences_of(at::arange(tokens.tokens(), tokens.offsets_B1.options()), tokens);
}

}  // namespace

GlobalTokens make_global_tokens(const std::vector<int64_t>& rows, const RaggedTokens& tokens) {
  TXTSUM_CHECK(std::is_sorted(rows.begin(), rows.end()));
  GlobalTokens globals;
  std::vector<int64_t>& offsets = globals.tokens.offsets;
  for (const int64_t end : tokens.offsets) {
    offsets.push_back(std::lower_bound(rows.begin(), rows.end(), end) - rows.begin());
    if (offsets.size() > 1) {
      globals.tokens.longest = std::max(globals.tokens.longest, offsets.back() - offsets[offsets.size() - 2]);
    }
  }
  globals.count = static_cast<int64_t>(rows.size());
  globals.tokens.offsets_B1 = at::tensor(offsets, at::kLong).to(at::kInt).to(tokens.offsets_B1.device());
  globals.rows_G = at::tensor(rows, at::kLong).to(tokens.offsets_B1.device());
  find_sequences(globals, tokens);
  return globals;
}

GlobalTokens first_tokens(const RaggedTokens& tokens) {
  const std::vector<int64_t>& offsets = tokens.offsets;
  if (std::adjacent_find(offsets.begin(), offsets.end()) != offsets.end()) {
    TXTSUM_CHECK(!tokens.recurs, "an empty sequence in a batch that a graph may hold");
    std::vector<int64_t> rows(offsets.begin(), offsets.end() - 1);
    rows.erase(std::unique(rows.begin(), rows.end()), rows.end());
    while (!rows.empty() && rows.back() == tokens.tokens()) rows.pop_back();
    return make_global_tokens(rows, tokens);
  }
  GlobalTokens globals;
  globals.count = tokens.sequences();
  globals.tokens.offsets.resize(offsets.size());
  std::iota(globals.tokens.offsets.begin(), globals.tokens.offsets.end(), int64_t{0});
  globals.tokens.offsets_B1 = at::arange(globals.count + 1, tokens.offsets_B1.options());
  globals.tokens.longest = 1;
  globals.rows_G = tokens.offsets_B1.narrow(0, 0, globals.count).to(at::kLong);
  find_sequences(globals, tokens);
  return globals;
}

}  // namespace txtsum::ops
