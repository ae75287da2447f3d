#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace txtsum::ops {

/// What to do with one decoding row before its best tokens are chosen.
struct TokenEdits {
  std::vector<int32_t> penalized;  ///< Each id once.
  std::vector<int32_t> forbidden;
};

struct TopTokensRequest {
  int64_t vocabulary = 0;         ///< The first so many columns count.
  int64_t count = 1;              ///< Tokens wanted a row.
  bool log_probabilities = true;  ///< Scores are log softmax of the logits; false: the logits.
  double penalty = 1.0;           ///< Positive scores of penalized tokens are divided by it, others multiplied.
};

/// The best tokens of each row, best first, of equal ones the smaller id first.
struct TopTokens {
  int64_t count = 0;
  std::vector<float> scores;           ///< [rows * count]
  std::vector<int32_t> ids;            ///< [rows * count]; -1 where the scores are no numbers.
  std::vector<float> log_probability;  ///< [rows]: log softmax of the logits, before edits, at the best token.
};

/// Chooses on a GPU and waits for the result. logits: [any, stride], fp32 or bf16, changed where edits say so; row i of
/// the result is for logits row row_of[i] and edits[i].
TopTokens top_tokens(const at::Tensor& logits_RV, const std::vector<int32_t>& row_of,
                     const std::vector<TokenEdits>& edits, const TopTokensRequest& request);

}  // namespace txtsum::ops
