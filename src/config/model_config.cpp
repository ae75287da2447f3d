#include "txtsum/config/model_config.h"

#include <algorithm>

#include "txtsum/config/field.h"

namespace txtsum::config {

void ModelConfig::describe(FieldVisitor& visitor) {
  visitor.field("checkpoint", checkpoint,
                {.help = "Folder as the Hugging Face Hub has it, a step's or a run's folder, or an id such as "
                         "facebook/bart-base that is in the local Hugging Face cache.",
                 .required = true});
  visitor.field("init", init, {.help = "`pretrained` reads the weights; `random` builds from config.json alone."});
  visitor.field("dropout", dropout,
                {.help = "Dropout after embeddings and blocks.",
                 .minimum = 0,
                 .maximum = 1,
                 .below_maximum = true,
                 .default_note = "the model's config.json"});
  visitor.field("attention_dropout", attention_dropout,
                {.help = "Dropout of attention probabilities.",
                 .minimum = 0,
                 .maximum = 1,
                 .below_maximum = true,
                 .default_note = "the model's config.json"});
  visitor.field("activation_dropout", activation_dropout,
                {.help = "Dropout within the feed-forward layer.",
                 .minimum = 0,
                 .maximum = 1,
                 .below_maximum = true,
                 .default_note = "the model's config.json"});
  visitor.field("encoder_dropout", encoder_dropout,
                {.help = "`false`: nothing is dropped in the encoder while training, and no layer of it left out, as "
                         "in transformers after `encoder.eval()`; the decoder keeps its dropout. "
                         "train.cache_encoder needs an encoder that drops nothing."});
  visitor.field("global_tokens", global_tokens,
                {.help = "Of a model with windowed attention (LED): which source tokens see all others and are seen by "
                         "all. `first`, and texts that are one token, such as a separator of documents; or `none`. It "
                         "is kept in the finished model's config.json.",
                 .default_note = "the model's config.json; the first token where that names none"});
  visitor.field(
      "random_blocks", random_blocks,
      {.help = "Of a model with block-sparse attention (BigBird-Pegasus): `seeded` draws the random blocks once "
               "from run.seed, the same in training and evaluation; `transformers` has what transformers has "
               "when it evaluates, the first block once more for each random one. It is kept in the finished "
               "model's config.json.",
       .default_note = "the model's config.json; `seeded` where that names none"});
  visitor.field(
      "freeze", freeze,
      {.help = "What does not learn: `embeddings`, `encoder`, `decoder`, `encoder.layers.0-5`, or patterns of "
               "parameter names such as `*.layer_norm.*`."});
  visitor.field("save_precision", save_precision,
                {.help = "Type of the weights in the finished model/ folder.",
                 .changes_training = false,
                 .default_note = "train.precision"});
}

void ModelConfig::check(Complaints& complaints) const {
  const bool none = std::find(global_tokens.begin(), global_tokens.end(), "none") != global_tokens.end();
  if (none && global_tokens.size() > 1) complaints.add("model.global_tokens", "has `none` beside other entries");
  for (const std::string& word : freeze) {
    if (word.empty()) complaints.add("model.freeze", "has an empty entry");
  }
}

}  // namespace txtsum::config
