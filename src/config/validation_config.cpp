#include "txtsum/config/validation_config.h"

#include "txtsum/config/field.h"

namespace txtsum::config {

void ValidationConfig::describe(FieldVisitor& visitor) {
  visitor.field("loss", loss, {.help = "Measure the mean loss a target token."});
  visitor.field("generate", generate, {.help = "Write summaries and measure their ROUGE."});
  visitor.field("every_updates", every_updates,
                {.help = "Period in updates.",
                 .unit = "updates",
                 .minimum = 1,
                 .default_note = "not used",
                 .exclusive_with = "every_epochs"});
  visitor.field("every_epochs", every_epochs,
                {.help = "Or: period in epochs, parts allowed.",
                 .unit = "epochs",
                 .minimum = 0,
                 .above_minimum = true,
                 .default_note = "1 where every_updates is not set",
                 .exclusive_with = "every_updates"});
  visitor.field("on_start", on_start, {.help = "Also validate before the first update."});
  visitor.field("max_generated_examples", max_generated_examples,
                {.help = "Only the first N pairs of the split are summarized; the loss takes all.",
                 .unit = "examples",
                 .minimum = 1,
                 .default_note = "all"});
  visitor.field(
      "beams", beams,
      {.help = "Beams of validation's summaries.", .minimum = 1, .maximum = 1024, .default_note = "generation.beams"});
}

void ValidationConfig::complete() {
  if (!every_updates && !every_epochs) every_epochs = 1;
}

void ValidationConfig::check(Complaints& complaints) const {
  if (generate) return;
  if (max_generated_examples) {
    complaints.add("validation.max_generated_examples", "has a meaning only with validation.generate=true");
  }
  if (beams) complaints.add("validation.beams", "has a meaning only with validation.generate=true");
}

}  // namespace txtsum::config
