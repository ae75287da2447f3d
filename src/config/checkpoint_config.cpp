#include "txtsum/config/checkpoint_config.h"

#include "txtsum/config/field.h"

namespace txtsum::config {

void CheckpointConfig::describe(FieldVisitor& visitor) {
  visitor.field("every_updates", every_updates,
                {.help = "Period in updates.",
                 .unit = "updates",
                 .minimum = 1,
                 .changes_training = false,
                 .default_note = "not used",
                 .exclusive_with = "every_epochs"});
  visitor.field("every_epochs", every_epochs,
                {.help = "Or: period in epochs, parts allowed.",
                 .unit = "epochs",
                 .minimum = 0,
                 .above_minimum = true,
                 .changes_training = false,
                 .default_note = "1 where every_updates is not set",
                 .exclusive_with = "every_updates"});
  visitor.field("keep_last", keep_last,
                {.help = "The newest N checkpoints stay, and the best one always; null keeps all.",
                 .unit = "checkpoints",
                 .minimum = 1,
                 .changes_training = false});
  visitor.field("best_metric", best_metric,
                {.help = "Validation metric that says which checkpoint becomes the finished model (least loss, most "
                         "ROUGE); `none`: the last one. A new best is saved at once, whatever the period."});
  visitor.field("optimizer_state", optimizer_state,
                {.help = "Save what is needed to resume; false saves weights only and such a checkpoint cannot be "
                         "continued.",
                 .changes_training = false});
  visitor.field(
      "publish", publish,
      {.help = "`rename` writes under a temporary name and renames; `in_place` is for mounts where a rename is "
               "a copy and appending is refused (Azure's blob mounts): logs are then kept in the machine's "
               "temporary folder and copied at every save.",
       .changes_training = false});
}

void CheckpointConfig::complete() {
  if (!every_updates && !every_epochs) every_epochs = 1;
}

void EarlyStoppingConfig::describe(FieldVisitor& visitor) {
  visitor.field("patience", patience,
                {.help = "Ends training after so many validations without a better checkpoint.best_metric.",
                 .unit = "validations",
                 .minimum = 1,
                 .default_note = "off"});
  visitor.field("threshold", threshold,
                {.help = "By how much a metric must be better to count (ROUGE in points of 100).", .minimum = 0});
}

void EarlyStoppingConfig::check(Complaints& complaints) const {
  if (threshold != 0 && !patience) {
    complaints.add("early_stopping.threshold", "has a meaning only with early_stopping.patience");
  }
}

}  // namespace txtsum::config
