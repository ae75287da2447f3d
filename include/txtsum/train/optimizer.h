#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "txtsum/config/optimizer_config.h"
#include "txtsum/train/update_space.h"

namespace txtsum::train {

/// The numbers of one update.
struct StepScalars {
  int64_t update = 1;  ///< From 1: bias corrections and relative steps count it.
  double learning_rate = 0.0;
  double gradient_factor = 1.0;  ///< Multiplies every gradient: clipping and 1 / target tokens.
};

/// A tensor of an optimizer's state, or the part of it that this rank has, under the name that checkpoints use:
/// `<kind>/<parameter>`. It shares the optimizer's storage: copying into it restores the state.
struct StatePart {
  std::string name;
  std::vector<int64_t> shape;  ///< Of the whole tensor.
  int64_t begin = 0;           ///< First element that is here, in row-major order.
  at::Tensor values;           ///< 1-D
};

/// Updates the weights of a space from its gradients. Holds fp32 master weights; fp32 working weights are the masters
/// themselves, unless the space has them elsewhere.
class Optimizer {
 public:
  virtual ~Optimizer() = default;
  /// One update: masters, moments and working weights change; gradients stay as they are.
  virtual void step(const StepScalars& scalars) = 0;
  /// The rate that `step` takes: the schedule's, or the optimizer's own (Adafactor with relative_step).
  virtual double effective_learning_rate(const StepScalars& scalars) const { return scalars.learning_rate; }
  /// fp32 weights, laid out like the space.
  virtual const at::Tensor& masters() const = 0;
  /// Moments of every parameter that learns: what this rank has of them.
  virtual std::vector<StatePart> state() = 0;
  /// The moments that are laid out like the space, under their kind (`exp_avg`); all of state(), or none of it.
  virtual std::vector<std::pair<std::string, at::Tensor>> moments() const { return {}; }

  /// Rounds the masters into the working weights, after the masters were restored.
  void publish_masters();

 protected:
  explicit Optimizer(const UpdateSpace& space) : space_(space) {}
  const UpdateSpace& space_;
};

/// Makes the optimizer that `config` (completed) names over `space`, which must outlive it. `masters` is fp32, laid out
/// like the space, and is copied; undefined: the working weights, widened. Pass the source's values where they are
/// finer than the working weights. AdamW alone offloads.
std::unique_ptr<Optimizer> make_optimizer(const config::OptimizerConfig& config, const UpdateSpace& space,
                                          const at::Tensor& masters = {});

}  // namespace txtsum::train
