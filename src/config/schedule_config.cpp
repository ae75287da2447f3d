#include "txtsum/config/schedule_config.h"

#include "txtsum/config/field.h"

namespace txtsum::config {

void ScheduleConfig::describe(FieldVisitor& visitor) {
  visitor.field("name", name,
                {.help = "Course of the learning rate after the warm-up, over the share of training that is done."});
  visitor.field("warmup_updates", warmup_updates,
                {.help = "Linear warm-up from 0 to the peak, in updates.",
                 .unit = "updates",
                 .minimum = 0,
                 .default_note = "0 where warmup_share is not set",
                 .exclusive_with = "warmup_share"});
  visitor.field("warmup_share", warmup_share,
                {.help = "Or: as a share of the whole training.",
                 .minimum = 0,
                 .maximum = 1,
                 .below_maximum = true,
                 .default_note = "not used",
                 .exclusive_with = "warmup_updates"});
  visitor.field("minimum_share", minimum_share,
                {.help = "linear, cosine: the last learning rate as a share of the peak.", .minimum = 0, .maximum = 1});
}

void ScheduleConfig::complete() {
  if (!warmup_updates && !warmup_share) warmup_updates = 0;
}

void ScheduleConfig::check(Complaints& complaints) const {
  const bool falls_to_minimum = name == ScheduleName::kLinear || name == ScheduleName::kCosine;
  if (!falls_to_minimum && minimum_share != 0) {
    complaints.add("schedule.minimum_share", "has a meaning only with schedule.name=linear or cosine");
  }
}

}  // namespace txtsum::config
