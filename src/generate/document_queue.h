#pragma once

#include <functional>
#include <span>
#include <vector>

#include "txtsum/generate/generator.h"
#include "txtsum/ops/ragged.h"

namespace txtsum::generate {

/// Documents put into slots.
struct Admission {
  std::vector<int64_t> slots, examples;
  std::vector<std::span<const int32_t>> sources;
  ops::RaggedTokens tokens;  ///< Of all of them, on the CPU.

  bool empty() const { return slots.empty(); }
};

/// The documents that wait for a slot, the longest first.
class DocumentQueue {
 public:
  DocumentQueue(const SourceSet& sources, int64_t slots, std::function<void()> between_steps);

  int64_t slots() const { return slots_; }  ///< Not more than there are documents.
  int64_t longest() const { return longest_; }
  /// The next documents for the free ones of the slots (`taken` says which are not); none until a quarter of them is
  /// free, so that the encoder sees a batch.
  Admission admit(const std::vector<bool>& taken);
  /// Whether admit() would take documents.
  bool admits(const std::vector<bool>& taken) const;
  /// Counts one more document as done.
  void delivered() { ++delivered_; }
  /// To be called before each step. Throws StoppedBySignal where a signal came.
  void step() const;
  /// Throws StoppedBySignal where a signal came.
  void check_signal() const;

 private:
  const SourceSet& sources_;
  std::function<void()> between_steps_;
  std::vector<int64_t> order_;  // longest first
  int64_t slots_ = 0, longest_ = 0;
  size_t next_ = 0, delivered_ = 0;
};

}  // namespace txtsum::generate
