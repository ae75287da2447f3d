// The sections of a few plain keys.

#include "txtsum/config/field.h"
#include "txtsum/config/metrics_config.h"
#include "txtsum/config/parallel_config.h"
#include "txtsum/config/report_config.h"
#include "txtsum/config/test_config.h"

namespace txtsum::config {

void TestConfig::describe(FieldVisitor& visitor) {
  visitor.field("generate", generate,
                {.help = "Summarize and score data.test with the finished model when training is over.",
                 .changes_training = false});
}

void MetricsConfig::describe(FieldVisitor& visitor) {
  visitor.field("stemmer", stemmer, {.help = "Stem words before comparing, as rouge_score's use_stemmer."});
  visitor.field("sentences", sentences,
                {.help = "rougeLsum's sentences: `lines` of the text, or `split`: its lines, and where it has only "
                         "one, sentences by the rule in docs/metrics.md."});
  visitor.field("bootstrap_resamples", bootstrap_resamples,
                {.help = "Resamples of the 95 % intervals; 0: no intervals.",
                 .minimum = 0,
                 .maximum = 1000000,
                 .changes_training = false});
}

void ParallelConfig::describe(FieldVisitor& visitor) {
  visitor.field("zero_stage", zero_stage,
                {.help = "What each rank keeps of the training's memory: 0 everything, 1 a share of the optimizer's "
                         "state, 2 of that and the gradients, 3 of these and the weights (ZeRO).",
                 .minimum = 0,
                 .maximum = 3,
                 .changes_training = false});
  visitor.field(
      "offload", offload,
      {.help = "What a GPU's training keeps in pinned host memory: `optimizer`: masters and moments, updated by "
               "the CPU; `optimizer_and_parameters`: with zero_stage 3 also the weights, which come to the "
               "GPU block by block.",
       .changes_training = false});
}

void ParallelConfig::check(Complaints& complaints) const {
  if (offload == Offload::kOptimizerAndParameters && zero_stage < 3) {
    complaints.add("parallel.offload",
                   "optimizer_and_parameters keeps shards of the weights in host memory, which stage 3 alone makes: "
                   "write parallel.zero_stage=3, on one rank too");
  }
}

void ReportConfig::describe(FieldVisitor& visitor) {
  visitor.field("tensorboard", tensorboard, {.help = "Write TensorBoard event files.", .changes_training = false});
  visitor.field("mlflow", mlflow,
                {.help = "Log to the MLflow server that MLFLOW_TRACKING_URI names.",
                 .changes_training = false,
                 .default_note = "true where MLFLOW_TRACKING_URI is set"});
  visitor.field(
      "trace_updates", trace_updates,
      {.help = "Write trace.json, a Chrome trace of every operation and GPU kernel of so many updates (open it "
               "in Perfetto or chrome://tracing); 0: none. It slows those updates down.",
       .minimum = 0,
       .maximum = 1000,
       .changes_training = false});
  visitor.field("trace_from", trace_from,
                {.help = "The first update that is traced, counted from this attempt's first.",
                 .minimum = 1,
                 .changes_training = false});
  visitor.field("language", language,
                {.help = "Languages of the texts for the finished model's card, as codes: en, [de, fr].",
                 .changes_training = false,
                 .default_note = "that of the base model's card, where it has one"});
  visitor.field("dataset", dataset,
                {.help = "Id of the data set on the Hugging Face Hub, for the finished model's card.",
                 .changes_training = false});
}

}  // namespace txtsum::config
