#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "txtsum/config/optimizer_config.h"
#include "txtsum/model/arena.h"

namespace txtsum::train {

/// The numbers of one update.
struct StepScalars {
  int64_t update = 1;  ///< From 1: bias corrections and relative steps count it.
  double learning_rate = 0.0;
  double gradient_factor = 1.0;  ///< Multiplies every gradient: clipping and 1 / target tokens.
};

/// A tensor of an optimizer's state under the name that checkpoints use: `<kind>/<parameter>`. It shares the
/// optimizer's storage: copying into it restores the state.
using NamedState = std::vector<std::pair<std::string, at::Tensor>>;

/// Updates the trainable range of an arena from its gradients. Holds fp32 master weights; with fp32 working weights
/// these are the masters themselves.
class Optimizer {
 public:
  virtual ~Optimizer() = default;
  /// One update: masters, moments and working weights change; gradients stay as they are.
  virtual void step(const StepScalars& scalars) = 0;
  /// The rate that `step` takes: the schedule's, or the optimizer's own (Adafactor with relative_step).
  virtual double effective_learning_rate(const StepScalars& scalars) const { return scalars.learning_rate; }
  /// fp32 values of the trainable range, laid out like the arena.
  virtual const at::Tensor& masters() const = 0;
  /// Moments of every parameter that learns.
  virtual NamedState state() = 0;

  /// Rounds the masters into the working weights, after the masters were restored.
  void publish_masters();

 protected:
  explicit Optimizer(model::Arena& arena) : arena_(arena) {}
  model::Arena& arena_;
};

/// Makes the optimizer that `config` (completed) names. `masters` is fp32 with trainable_numel() elements and is
/// copied; undefined: the working weights, widened. Pass the source's values where they are finer than the working
/// weights.
std::unique_ptr<Optimizer> make_optimizer(const config::OptimizerConfig& config, model::Arena& arena,
                                          const at::Tensor& masters = {});

}  // namespace txtsum::train
