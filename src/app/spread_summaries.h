#pragma once

#include <string>

#include "app/summaries.h"
#include "txtsum/parallel/communicator.h"

namespace txtsum::app {

/// Summaries of all documents, in their order, and what it took.
struct SummarizedDocuments {
  std::vector<Summaries> summaries;
  metrics::Work work;  ///< Of all ranks, in this attempt: without what the log had.
};

/// Summarizes the documents on all ranks, each its share of them; every rank gets all summaries. On rank 0 there may be
/// a log, which is filled as summaries come and, where it has some already, spares them. All ranks call it, and all
/// throw StoppedBySignal where one was asked to stop; what was made until then is in the log.
SummarizedDocuments summarize_on_ranks(const Summarizer& summarizer, const generate::SourceSet& documents,
                                       const std::string& label, SummaryLog* log, parallel::Communicator& ranks);

}  // namespace txtsum::app
