#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace txtsum::config {

class FieldVisitor;

/// What rougeLsum takes as sentences. kSplit: the text's lines, or where it has only one, the splitter's
/// (docs/metrics.md).
enum class Sentences { kSplit, kLines };
inline std::vector<std::string_view> choice_names(Sentences) { return {"split", "lines"}; }

/// Section `metrics`: how ROUGE is computed.
struct MetricsConfig {
  bool stemmer = true;                      ///< rouge_score's use_stemmer.
  Sentences sentences = Sentences::kSplit;  ///< rougeLsum's sentences.
  int64_t bootstrap_resamples = 1000;       ///< For the 95 % intervals; 0: none.

  void describe(FieldVisitor& visitor);
};

}  // namespace txtsum::config
