#pragma once

#include <optional>
#include <string_view>
#include <vector>

namespace txtsum::config {

class FieldVisitor;
class Complaints;

enum class OptimizerName { kAdamW, kAdafactor };
inline std::vector<std::string_view> choice_names(OptimizerName) { return {"adamw", "adafactor"}; }

/// Section `optimizer`. Adafactor's fields mean what transformers' Adafactor means by them.
struct OptimizerConfig {
  OptimizerName name = OptimizerName::kAdamW;
  std::optional<double> learning_rate;  ///< Peak; complete() sets 5e-5, except with relative_step.
  double weight_decay = 0.0;            ///< Decoupled; matrices only, not biases and norms.
  std::optional<double> beta1;          ///< complete() sets 0.9 for AdamW; unset in Adafactor: no first moment.
  double beta2 = 0.999;                 ///< AdamW.
  double epsilon = 1e-8;                ///< AdamW: added to the root of the second moment.
  bool scale_parameter = false;         ///< Adafactor: scales the step by the weight's root mean square.
  bool relative_step = false;           ///< Adafactor: a step size from the update number, not learning_rate.
  bool warmup_init = false;             ///< Adafactor: relative_step starts small.
  double clip_threshold = 1.0;          ///< Adafactor: largest root mean square of an update.
  double decay_rate = -0.8;             ///< Adafactor: exponent of the second moment's decay.
  double factor_epsilon = 1e-30;        ///< Adafactor: eps[0], added to the squared gradient.
  double scale_epsilon = 1e-3;          ///< Adafactor: eps[1], least weight scale of scale_parameter.

  /// Sets the defaults that depend on `name`.
  void complete();
  void describe(FieldVisitor& visitor);
  void check(Complaints& complaints) const;
};

}  // namespace txtsum::config
