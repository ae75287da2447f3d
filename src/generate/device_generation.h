#pragma once

#include "document_queue.h"
#include "txtsum/generate/generator.h"

namespace txtsum::generate {

/// Generates on a GPU: decoder and search of all slots are one captured graph a step, and the host follows one step
/// behind, so that neither waits for the other.
GenerationCounts generate_on_device(const model::Seq2SeqModel& model, const GenerationSettings& settings,
                                    const SourceSet& sources, const HypothesisSink& sink,
                                    const std::function<void()>& between_steps);

}  // namespace txtsum::generate
