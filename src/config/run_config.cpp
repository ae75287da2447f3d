#include "txtsum/config/run_config.h"

#include "txtsum/config/field.h"

namespace txtsum::config {

void RunConfig::describe(FieldVisitor& visitor) {
  visitor.field("name", name,
                {.help = "Label of the run in reports and loggers.",
                 .changes_training = false,
                 .default_note = "the config file's name without ending"});
  visitor.field("output", output,
                {.help = "Run folder; everything that a run writes is below it.",
                 .changes_training = false,
                 .default_note = "`runs/` and run.name"});
  visitor.field("seed", seed, {.help = "Seed of the examples' order, dropout and random weights.", .minimum = 0});
  visitor.field(
      "resume", resume,
      {.help = "`auto` continues where the output folder holds a checkpoint of the same config, refuses one of another "
               "config and starts where there is none; `never` starts; a path (run or step folder) continues "
               "from there, from a step of the same run only where no newer one is.",
       .required = true,
       .allows_auto = true,
       .changes_training = false});
  visitor.field("overwrite", overwrite,
                {.help = "Delete a former run in the output folder where it cannot be continued: another config, or "
                         "run.resume=never.",
                 .changes_training = false});
  visitor.field(
      "device", device,
      {.help = "Where tensors live and the work is done: `cuda` is the first NVIDIA GPU that the process sees "
               "(CUDA_VISIBLE_DEVICES chooses) and needs a binary built with TXTSUM_WITH_CUDA."});
  visitor.field("threads", threads,
                {.help = "CPU threads; 0 takes all that the process may use.",
                 .minimum = 0,
                 .maximum = 4096,
                 .changes_training = false});
}

void RunConfig::check(Complaints& complaints) const {
  if (overwrite && resume != "never" && resume != "auto") {
    complaints.add("run.overwrite", "cannot be true when run.resume names a path: what to continue would be deleted");
  }
}

}  // namespace txtsum::config
