#pragma once

namespace txtsum::config {

class FieldVisitor;

/// Section `test`: what `train` does with data.test when training is over; settings are section generation's.
struct TestConfig {
  bool generate = true;  ///< Summarize and score the test split with the finished model.

  void describe(FieldVisitor& visitor);
};

}  // namespace txtsum::config
