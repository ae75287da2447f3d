#include "txtsum/config/experiment_config.h"

#include <string>

namespace txtsum::config {
namespace {

void check_best_metric(const ExperimentConfig& config, Complaints& complaints) {
  const BestMetric metric = config.checkpoint.best_metric;
  if (metric == BestMetric::kNone) {
    if (config.early_stopping.patience) {
      complaints.add("early_stopping.patience", "needs checkpoint.best_metric, the metric that it watches");
    }
    return;
  }
  const std::string name(name_of(metric));
  if (!config.data.has_validation()) {
    complaints.add("checkpoint.best_metric", name + " needs data.validation or data.validation_share");
  } else if (metric == BestMetric::kLoss && !config.validation.loss) {
    complaints.add("checkpoint.best_metric", "loss needs validation.loss=true");
  } else if (metric != BestMetric::kLoss && !config.validation.generate) {
    complaints.add("checkpoint.best_metric", name + " needs validation.generate=true");
  }
}

}  // namespace

void ExperimentConfig::describe(FieldVisitor& visitor) {
  visitor.section("run", "Where a run goes and how it is repeated.");
  run.describe(visitor);
  visitor.section("model", "Which weights to start from and which of them learn.");
  model.describe(visitor);
  visitor.section("data", "Files, columns, lengths and limits.");
  data.describe(visitor);
  visitor.section("train", "Duration, batches and numerics of training.");
  train.describe(visitor);
  visitor.section("optimizer", "The optimizer; Adafactor's keys mean what transformers' Adafactor means by them.");
  optimizer.describe(visitor);
  visitor.section("schedule", "The learning rate over the share of training that is done.");
  schedule.describe(visitor);
  visitor.section("parallel", "What each rank of a training on several GPUs or processes keeps.");
  parallel.describe(visitor);
  visitor.section("validation", "What is measured on data.validation while training, and how often.");
  validation.describe(visitor);
  visitor.section("checkpoint", "When checkpoints are written, which stay, and which becomes the finished model.");
  checkpoint.describe(visitor);
  visitor.section("early_stopping", "Ends training when checkpoint.best_metric has stopped getting better.");
  early_stopping.describe(visitor);
  visitor.section("test", "What happens to data.test when training is over.");
  test.describe(visitor);
  visitor.section("generation", "How summaries are written, in validation, test, `evaluate` and `summarize`.");
  generation.describe(visitor);
  visitor.section("metrics", "How ROUGE is computed.");
  metrics.describe(visitor);
  visitor.section("resources", "Facts about the machine that energy, carbon and cost need.");
  resources.describe(visitor);
  visitor.section("report", "Loggers that follow the run besides its own files.");
  report.describe(visitor);
}

void ExperimentConfig::complete() {
  if (run.output.empty() && !run.name.empty()) run.output = "runs/" + run.name;
  train.complete();
  optimizer.complete();
  schedule.complete();
  validation.complete();
  checkpoint.complete();
  if (!model.save_precision) model.save_precision = train.precision;
}

void ExperimentConfig::check(Complaints& complaints) const {
  run.check(complaints);
  model.check(complaints);
  data.check(complaints);
  train.check(complaints);
  optimizer.check(complaints);
  schedule.check(complaints);
  validation.check(complaints);
  early_stopping.check(complaints);
  generation.check(complaints);
  parallel.check(complaints);
  check_best_metric(*this, complaints);
  if (train.precision == Precision::kFp16) {
    if (run.device != Device::kCuda) {
      complaints.add("train.precision", "fp16 is for GPUs: set run.device=cuda, or take bf16 or fp32");
    }
    if (optimizer.name != OptimizerName::kAdamW) {
      complaints.add("train.precision", "fp16's loss scale is offered with optimizer.name=adamw alone");
    }
  }
  if (parallel.zero_stage > 0 && optimizer.name != OptimizerName::kAdamW) {
    complaints.add("parallel.zero_stage",
                   "shares the state of optimizer.name=adamw; adafactor's second moments are "
                   "sums over whole matrices, and small: take parallel.zero_stage=0");
  }
  if (parallel.offload != Offload::kNone && optimizer.name != OptimizerName::kAdamW) {
    complaints.add("parallel.offload",
                   "moves the state of optimizer.name=adamw, 12 bytes an element; adafactor's is small: take "
                   "parallel.offload=none");
  }
  if (train.cache_encoder && data.cache.empty()) {
    complaints.add("train.cache_encoder",
                   "keeps the encoder's outputs in the folder data.cache, which is empty: name one");
  }
  if (optimizer.relative_step && schedule.name != ScheduleName::kConstant) {
    complaints.add("schedule.name", "must be constant with optimizer.relative_step=true");
  }
}

}  // namespace txtsum::config
