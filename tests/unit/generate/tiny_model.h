#pragma once

#include <numeric>
#include <string>
#include <vector>

#include "support/test_device.h"
#include "txtsum/core/json.h"
#include "txtsum/core/random.h"
#include "txtsum/generate/generator.h"
#include "txtsum/model/model_folder.h"

namespace txtsum::tests {

inline constexpr const char* kTinyModel = TXTSUM_SOURCE_DIR "/tests/fixtures/generation/model_a";

/// A random BART with sharp logits.
inline model::LoadedModel load_tiny_model() {
  model::LoadRequest request;
  request.folder = kTinyModel;
  request.device = test_device();
  return model::load_model(request);
}

/// Documents of random lengths and tokens.
inline std::vector<std::vector<int32_t>> draw_documents(size_t count, uint64_t seed) {
  core::RandomStream random(seed, 0);
  std::vector<std::vector<int32_t>> documents(count);
  for (std::vector<int32_t>& document : documents) {
    document.resize(1 + random.next_below(25));
    for (int32_t& id : document) id = static_cast<int32_t>(3 + random.next_below(58));
  }
  return documents;
}

using Results = std::vector<std::vector<generate::Hypothesis>>;

inline generate::SourceSet source_set(const std::vector<std::vector<int32_t>>& documents) {
  return {static_cast<int64_t>(documents.size()),
          [&documents](int64_t i) { return std::span(documents[static_cast<size_t>(i)]); }};
}

inline Results generate_all(const model::Seq2SeqModel& model, const generate::GenerationSettings& settings,
                            const std::vector<std::vector<int32_t>>& documents) {
  Results results(documents.size());
  generate::generate(model, settings, source_set(documents),
                     [&](int64_t i, std::vector<generate::Hypothesis> hypotheses) {
                       results[static_cast<size_t>(i)] = std::move(hypotheses);
                     });
  return results;
}

}  // namespace txtsum::tests
