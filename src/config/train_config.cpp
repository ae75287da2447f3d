#include "txtsum/config/train_config.h"

#include "txtsum/config/field.h"

namespace txtsum::config {
namespace {

constexpr double kDefaultEpochs = 3;
constexpr int64_t kDefaultBatchSize = 16;

void describe_limits(TrainConfig& train, FieldVisitor& visitor) {
  visitor.field("epochs", train.epochs,
                {.help = "Ends training after so many passes over the data. The first limit that is reached counts.",
                 .unit = "epochs",
                 .minimum = 0,
                 .above_minimum = true,
                 .default_note = "3 where no limit is set, else no such limit"});
  visitor.field("max_updates", train.max_updates,
                {.help = "Ends training after so many updates.",
                 .unit = "updates",
                 .minimum = 1,
                 .default_note = "no such limit"});
  visitor.field("max_minutes", train.max_minutes,
                {.help = "Ends training after so much time in updates (loading, validation, generation and saving "
                         "apart); the schedule then reaches its end when the time is up.",
                 .unit = "minutes",
                 .minimum = 0,
                 .above_minimum = true,
                 .default_note = "no such limit"});
}

void describe_batches(TrainConfig& train, FieldVisitor& visitor) {
  visitor.field("batch_size", train.batch_size,
                {.help = "Examples an update, over all ranks and micro-batches.",
                 .unit = "examples",
                 .minimum = 1,
                 .default_note = "16 where batch_tokens is not set",
                 .exclusive_with = "batch_tokens"});
  visitor.field("batch_tokens", train.batch_tokens,
                {.help = "Or: source and target tokens an update, at most (a token budget).",
                 .unit = "tokens",
                 .minimum = 1,
                 .default_note = "not used",
                 .exclusive_with = "batch_size"});
  visitor.field("micro_batch_tokens", train.micro_batch_tokens,
                {.help = "Source and target tokens a forward pass, at most; cuts an update's batch to fit memory and "
                         "changes results only by rounding. Also for validation's loss.",
                 .unit = "tokens",
                 .minimum = 1});
  visitor.field("sampler", train.sampler,
                {.help = "Order of examples within an epoch; `length_bucketed` puts similar lengths together."});
  visitor.field("bucket_batches", train.bucket_batches,
                {.help = "length_bucketed: batches' worth of examples that are sorted together.",
                 .unit = "batches",
                 .minimum = 1});
}

}  // namespace

void TrainConfig::describe(FieldVisitor& visitor) {
  describe_limits(*this, visitor);
  describe_batches(*this, visitor);
  visitor.field(
      "precision", precision,
      {.help =
           "Type of weights and activations; norms, softmax, loss and sums are fp32 in all. fp16 is for GPUs without "
           "bf16 (before Ampere) and scales the loss."});
  visitor.field("clip_norm", clip_norm, {.help = "Largest global gradient norm; 0: no clipping.", .minimum = 0});
  visitor.field("label_smoothing", label_smoothing,
                {.help = "Share of the target's probability that is spread over the vocabulary.",
                 .minimum = 0,
                 .maximum = 1,
                 .below_maximum = true});
  visitor.field(
      "recompute", recompute,
      {.help = "`blocks` computes a block's activations again in the backward pass: less memory, more time."});
  visitor.field(
      "cache_encoder", cache_encoder,
      {.help = "Runs a frozen encoder once over every training document, keeps its outputs in the folder data.cache, "
               "and reads them in every epoch instead of running it. Needs an encoder that does not learn "
               "(model.freeze=encoder) and drops nothing (model.encoder_dropout=false); docs/freezing.md says what "
               "it takes and saves."});
  visitor.field(
      "deterministic", deterministic,
      {.help = "On a GPU: take the attention library's kernels that give the same bits from run to run, which "
               "are slower; everything else does anyway. A CPU always repeats exactly."});
  visitor.field("max_graphs", max_graphs,
                {.help = "On a GPU: shapes of batches that are captured as CUDA graphs, at most; others run kernel by "
                         "kernel. 0: all do.",
                 .minimum = 0,
                 .changes_training = false});
  visitor.field(
      "log_every_updates", log_every_updates,
      {.help = "Period of steps.jsonl and the loggers.", .unit = "updates", .minimum = 1, .changes_training = false});
}

void TrainConfig::complete() {
  if (!epochs && !max_updates && !max_minutes) epochs = kDefaultEpochs;
  if (!batch_size && !batch_tokens) batch_size = kDefaultBatchSize;
}

void TrainConfig::check(Complaints& complaints) const {
  if (sampler != Sampler::kLengthBucketed && bucket_batches != TrainConfig{}.bucket_batches) {
    complaints.add("train.bucket_batches", "has a meaning only with train.sampler=length_bucketed");
  }
}

}  // namespace txtsum::config
