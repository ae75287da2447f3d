#include "app/spread_summaries.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>

#include "app/experiment.h"
#include "txtsum/core/error.h"
#include "txtsum/core/log.h"
#include "txtsum/parallel/agreed_stop.h"

namespace txtsum::app {
namespace {

/// Documents that a rank summarizes between two exchanges: few enough that a rank that dies takes minutes of work with
/// it; many enough that the wait at the end, where slots run empty, is little beside them.
constexpr int64_t kRoundDocuments = 512;
/// And source tokens of these, about: long documents take longer.
constexpr int64_t kRoundTokens = int64_t{1} << 18;

/// Seconds between two questions whether a signal has come to any rank; all come together for each, and wait for the
/// longest step.
constexpr double kListenEvery = 5;
constexpr const char* kStopped = "generation stopped, since a rank was asked to stop";

/// A document's number and its summaries.
using Made = std::vector<std::pair<int64_t, Summaries>>;

std::string to_bytes(const Made& made) {
  core::Json list = core::Json::array();
  for (const auto& [document, summaries] : made) list.push_back({document, to_json(summaries)});
  return core::to_line(list);
}

Made made_from(const std::string& bytes) {
  Made made;
  for (const core::Json& item : core::Json::parse(bytes)) {
    made.emplace_back(item.at(0).get<int64_t>(), summaries_from_json(item.at(1)));
  }
  return made;
}

/// Ends this rank's work where another rank is gone.
void require_peers(parallel::Communicator& ranks) {
  if (ranks.world() == 1) return;
  if (const std::string problem = ranks.peer_problem(); !problem.empty()) throw core::RankError(problem);
}

void log_speed(const std::string& label, int64_t documents, double seconds) {
  if (documents == 0) return;
  char text[128];
  std::snprintf(text, sizeof(text), "%s: %lld documents in %.2f s, %.1f documents/s", label.c_str(),
                static_cast<long long>(documents), seconds, static_cast<double>(documents) / std::max(seconds, 1e-9));
  core::log_info(text);
}

/// Has ranks that work on shares of their own hear of a signal to any of them.
class Meetings {
 public:
  Meetings(parallel::Communicator& ranks, const core::Clock& clock) : ranks_(ranks), clock_(clock) { meet_later(); }

  /// While this rank is at work. Throws StoppedBySignal, on all ranks at once.
  void listen() {
    if (ranks_.world() == 1 || clock_.monotonic_seconds() < next_) return;
    meet(/*at_work=*/true);
    if (signal_ != 0) throw core::StoppedBySignal(kStopped, signal_);
  }

  /// When this rank has done its share, or was stopped: waits until all have. Returns the signal that came to any.
  int end() {
    while (signal_ == 0 && meet(/*at_work=*/false)) {
    }
    return signal_;
  }

 private:
  /// Returns whether any rank is at work.
  bool meet(bool at_work) {
    const std::array<double, 2> votes = parallel::stop_votes();
    std::vector<double> sums{votes[0], votes[1], at_work ? 1.0 : 0.0};
    ranks_.all_reduce(sums);
    signal_ = parallel::signal_of({sums[0], sums[1]});
    meet_later();
    return sums[2] > 0.0;
  }

  void meet_later() { next_ = clock_.monotonic_seconds() + kListenEvery; }

  parallel::Communicator& ranks_;
  const core::Clock& clock_;
  double next_ = 0.0;
  int signal_ = 0;
};

/// Makes the summaries that are missing, round by round.
class Rounds {
 public:
  Rounds(const Summarizer& summarizer, const generate::SourceSet& documents, const std::string& label, SummaryLog* log,
         parallel::Communicator& ranks)
      : summarizer_(summarizer),
        documents_(documents),
        log_(log),
        ranks_(ranks),
        progress_(label, "documents", documents.size, summarizer.clock) {
    result_.summaries.resize(static_cast<size_t>(documents.size));
    std::vector<bool> is_there(static_cast<size_t>(documents.size), false);
    for (auto& [document, summaries] : found()) {
      is_there.at(static_cast<size_t>(document)) = true;
      keep(document, std::move(summaries));
    }
    for (int64_t i = 0; i < documents.size; ++i) {
      if (!is_there[static_cast<size_t>(i)]) todo_.push_back(i);
    }
    progress_.start_at(documents.size - todo());
  }

  int64_t todo() const { return static_cast<int64_t>(todo_.size()); }

  SummarizedDocuments run() {
    for (int64_t begin = 0; begin < todo();) {
      const int64_t end = end_of_round(begin);
      make(begin, end);
      begin = end;
    }
    progress_.finish();
    add_up_work();
    return std::move(result_);
  }

 private:
  /// What rank 0's log has.
  Made found() const {
    Made own;
    if (log_ != nullptr) own = log_->found();
    return ranks_.world() == 1 ? own : made_from(ranks_.gather_bytes(to_bytes(own)).front());
  }

  /// The same on all ranks.
  int64_t end_of_round(int64_t begin) const {
    if (ranks_.world() == 1) return todo();
    const int64_t most = std::min(todo(), begin + kRoundDocuments * ranks_.world());
    int64_t end = begin;
    for (int64_t tokens = 0; end < most && tokens < kRoundTokens * ranks_.world(); ++end) {
      tokens += static_cast<int64_t>(documents_.ids(todo_[static_cast<size_t>(end)]).size());
    }
    return end;
  }

  void keep(int64_t document, Summaries summaries) {
    result_.summaries.at(static_cast<size_t>(document)) = std::move(summaries);
  }

  /// Of todo_[begin, end), this rank's are those whose place leaves its number when divided by the number of ranks:
  /// lengths mix.
  void make(int64_t begin, int64_t end) {
    const auto document_of = [&](int64_t i) {
      return todo_[static_cast<size_t>(begin + i * ranks_.world() + ranks_.rank())];
    };
    generate::SourceSet share;
    share.size = (end - begin - ranks_.rank() + ranks_.world() - 1) / ranks_.world();
    share.ids = [&](int64_t i) { return documents_.ids(document_of(i)); };
    const int64_t before = documents_.size - todo() + begin;
    Made own;
    std::string stopped_text = kStopped;
    Meetings meetings(ranks_, summarizer_.clock);
    const auto take = [&](int64_t i, Summaries summaries) {
      require_peers(ranks_);
      if (log_ != nullptr) log_->add(document_of(i), summaries);
      own.emplace_back(document_of(i), std::move(summaries));
      progress_.update(std::min(before + static_cast<int64_t>(own.size()) * ranks_.world(), documents_.size));
    };
    try {
      result_.work += summarize(summarizer_, share, take, [&] { meetings.listen(); });
    } catch (const core::StoppedBySignal& stopped) {
      stopped_text = stopped.what();
    }
    const int signal = meetings.end();
    if (ranks_.world() > 1) take_others(own);
    if (signal != 0) throw core::StoppedBySignal(stopped_text, signal);
    for (auto& [document, summaries] : own) keep(document, std::move(summaries));
  }

  void take_others(const Made& own) {
    const std::vector<std::string> all = ranks_.gather_bytes(to_bytes(own));
    for (size_t rank = 0; rank < all.size(); ++rank) {
      if (static_cast<int64_t>(rank) == ranks_.rank()) continue;
      for (auto& [document, summaries] : made_from(all[rank])) {
        if (log_ != nullptr) log_->add(document, summaries);
        keep(document, std::move(summaries));
      }
    }
  }

  void add_up_work() {
    if (ranks_.world() == 1) return;
    metrics::Work& work = result_.work;
    std::vector<double> sums{work.flops, static_cast<double>(work.examples), static_cast<double>(work.summaries),
                             static_cast<double>(work.source_tokens), static_cast<double>(work.target_tokens)};
    ranks_.all_reduce(sums);
    work.flops = sums[0];
    work.examples = static_cast<int64_t>(sums[1]);
    work.summaries = static_cast<int64_t>(sums[2]);
    work.source_tokens = static_cast<int64_t>(sums[3]);
    work.target_tokens = static_cast<int64_t>(sums[4]);
  }

  const Summarizer& summarizer_;
  const generate::SourceSet& documents_;
  SummaryLog* log_;
  parallel::Communicator& ranks_;
  ProgressLine progress_;
  SummarizedDocuments result_;
  std::vector<int64_t> todo_;
};

}  // namespace

SummarizedDocuments summarize_on_ranks(const Summarizer& summarizer, const generate::SourceSet& documents,
                                       const std::string& label, SummaryLog* log, parallel::Communicator& ranks) {
  const double begin_seconds = summarizer.clock.monotonic_seconds();
  Rounds rounds(summarizer, documents, label, log, ranks);
  const int64_t todo = rounds.todo();
  SummarizedDocuments result = rounds.run();
  if (ranks.rank() == 0) log_speed(label, todo, summarizer.clock.monotonic_seconds() - begin_seconds);
  return result;
}

}  // namespace txtsum::app
