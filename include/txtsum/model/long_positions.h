#pragma once

#include <string>
#include <utility>
#include <vector>

#include "txtsum/model/model_folder.h"

namespace txtsum::model {

/// A model that takes longer documents, made from a BART: its config.json and its tensors, in their file's types.
struct ConvertedModel {
  core::Json config;
  std::vector<std::pair<std::string, at::Tensor>> tensors;
};

struct LongPositions {
  int64_t max_source_tokens = 16384;  ///< At least what the BART has.
  int64_t window = 1024;              ///< Of an LED: tokens that a token sees, half of them on each side; even.
};

/// An LED as its authors made theirs (Beltagy et al. 2020): the encoder's positions are the BART's again and again, the
/// global tokens' projections start as copies of the local ones. On texts no longer than half the window it computes
/// what the BART does. Throws UserError where `bart` is no BART or the sizes do not fit.
ConvertedModel led_from_bart(const LoadedModel& bart, const LongPositions& sizes);

/// A BART whose positions, of both sides, are repeated up to the new number.
ConvertedModel longer_bart(const LoadedModel& bart, const LongPositions& sizes);

}  // namespace txtsum::model
