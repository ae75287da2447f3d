#include "txtsum/config/optimizer_config.h"

#include <string>

#include "txtsum/config/field.h"

namespace txtsum::config {
namespace {

constexpr double kDefaultLearningRate = 5e-5;
constexpr double kDefaultBeta1 = 0.9;

void describe_adafactor(OptimizerConfig& optimizer, FieldVisitor& visitor) {
  visitor.field("scale_parameter", optimizer.scale_parameter,
                {.help = "Adafactor: multiply the step by the weight's root mean square."});
  visitor.field("relative_step", optimizer.relative_step,
                {.help = "Adafactor: a step size from the update's number in place of learning_rate; needs "
                         "schedule.name=constant."});
  visitor.field("warmup_init", optimizer.warmup_init, {.help = "Adafactor: relative_step starts small."});
  visitor.field("clip_threshold", optimizer.clip_threshold,
                {.help = "Adafactor: largest root mean square of an update.", .minimum = 0, .above_minimum = true});
  visitor.field("decay_rate", optimizer.decay_rate,
                {.help = "Adafactor: exponent of the second moment's decay.", .maximum = 0, .below_maximum = true});
  visitor.field("factor_epsilon", optimizer.factor_epsilon,
                {.help = "Adafactor: added to the squared gradient (transformers' eps[0]).",
                 .minimum = 0,
                 .above_minimum = true});
  visitor.field("scale_epsilon", optimizer.scale_epsilon,
                {.help = "Adafactor: least weight scale of scale_parameter (transformers' eps[1]).",
                 .minimum = 0,
                 .above_minimum = true});
}

void check_adamw(const OptimizerConfig& optimizer, Complaints& complaints) {
  const OptimizerConfig defaults;
  const auto refuse = [&](const char* key, bool differs) {
    if (differs) complaints.add(std::string("optimizer.") + key, "has a meaning only with optimizer.name=adafactor");
  };
  refuse("scale_parameter", optimizer.scale_parameter != defaults.scale_parameter);
  refuse("relative_step", optimizer.relative_step != defaults.relative_step);
  refuse("warmup_init", optimizer.warmup_init != defaults.warmup_init);
  refuse("clip_threshold", optimizer.clip_threshold != defaults.clip_threshold);
  refuse("decay_rate", optimizer.decay_rate != defaults.decay_rate);
  refuse("factor_epsilon", optimizer.factor_epsilon != defaults.factor_epsilon);
  refuse("scale_epsilon", optimizer.scale_epsilon != defaults.scale_epsilon);
}

void check_adafactor(const OptimizerConfig& optimizer, Complaints& complaints) {
  const OptimizerConfig defaults;
  if (optimizer.beta2 != defaults.beta2) {
    complaints.add("optimizer.beta2", "has a meaning only with optimizer.name=adamw; Adafactor has decay_rate");
  }
  if (optimizer.epsilon != defaults.epsilon) {
    complaints.add("optimizer.epsilon",
                   "has a meaning only with optimizer.name=adamw; Adafactor has factor_epsilon and scale_epsilon");
  }
  if (optimizer.relative_step && optimizer.learning_rate) {
    complaints.add("optimizer.learning_rate", "cannot be set together with optimizer.relative_step=true");
  }
  if (optimizer.warmup_init && !optimizer.relative_step) {
    complaints.add("optimizer.warmup_init", "needs optimizer.relative_step=true");
  }
}

}  // namespace

void OptimizerConfig::describe(FieldVisitor& visitor) {
  visitor.field("name", name, {.help = "The optimizer."});
  visitor.field("learning_rate", learning_rate,
                {.help = "Peak learning rate.",
                 .minimum = 0,
                 .above_minimum = true,
                 .default_note = "5e-05; none with relative_step"});
  visitor.field("weight_decay", weight_decay,
                {.help = "Decoupled decay of matrices; biases and norms have none.", .minimum = 0});
  visitor.field("beta1", beta1,
                {.help = "Decay of the first moment.",
                 .minimum = 0,
                 .maximum = 1,
                 .below_maximum = true,
                 .default_note = "0.9 for AdamW; Adafactor keeps no first moment"});
  visitor.field("beta2", beta2,
                {.help = "AdamW: decay of the second moment.", .minimum = 0, .maximum = 1, .below_maximum = true});
  visitor.field("epsilon", epsilon,
                {.help = "AdamW: added to the second moment's root.", .minimum = 0, .above_minimum = true});
  describe_adafactor(*this, visitor);
}

void OptimizerConfig::complete() {
  if (!learning_rate && !relative_step) learning_rate = kDefaultLearningRate;
  if (!beta1 && name == OptimizerName::kAdamW) beta1 = kDefaultBeta1;
}

void OptimizerConfig::check(Complaints& complaints) const {
  if (name == OptimizerName::kAdamW) {
    check_adamw(*this, complaints);
  } else {
    check_adafactor(*this, complaints);
  }
}

}  // namespace txtsum::config
