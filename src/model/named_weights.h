#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "transformer_architecture.h"
#include "txtsum/io/weight_folder.h"

namespace txtsum::model {

/// Finds a weight under the names that published folders use for it. All throw DataError.
class NamedWeights {
 public:
  NamedWeights(const std::string& folder, const TransformerArchitecture& architecture);

  /// The tensor called `name`, without its first part (`model.`) where the file was saved from the bare model;
  /// undefined where the files do not have it.
  at::Tensor take(const std::string& name, at::IntArrayRef shape);
  /// What the files call it, by their headers alone; none where they do not have it.
  std::optional<std::string> claim(const std::string& name, at::IntArrayRef shape);
  /// Whether the files have an output table that is another than that of the tokens.
  bool has_other_head() const;
  /// Duplicates of the tied table are not needed; anything else that was not taken is a mistake.
  void check_nothing_left() const;

  const std::string& folder() const { return weights_.folder(); }

 private:
  std::vector<std::string> candidates(const std::string& name) const;

  io::WeightFolder weights_;
  std::string prefix_;
  std::set<std::string> unused_;
};

}  // namespace txtsum::model
