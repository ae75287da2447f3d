#include "txtsum/config/resources_config.h"

#include "txtsum/config/field.h"

namespace txtsum::config {
namespace {

void describe_carbon_and_cost(ResourcesConfig& resources, FieldVisitor& visitor) {
  visitor.field("region", resources.region,
                {.help = "Azure region of the machine, e.g. westus2; names its row in the carbon and price tables.",
                 .changes_training = false,
                 .default_note = "none: carbon and price are reported as missing"});
  visitor.field("grams_per_kwh", resources.grams_per_kwh,
                {.help = "Carbon intensity of the electricity, in place of the region's.",
                 .unit = "g CO2e/kWh",
                 .minimum = 0,
                 .changes_training = false,
                 .default_note = "the region's"});
  visitor.field("pue", resources.pue,
                {.help = "Power usage effectiveness of the data centre, in place of the region's.",
                 .minimum = 1,
                 .changes_training = false,
                 .default_note = "the region's"});
  visitor.field("vm_size", resources.vm_size,
                {.help = "Azure VM size, e.g. Standard_NC24ads_A100_v4; names its row in the price table.",
                 .changes_training = false,
                 .default_note = "none: cost is reported as missing"});
  visitor.field("usd_per_hour", resources.usd_per_hour,
                {.help = "Price of the whole VM, in place of the table's.",
                 .unit = "USD/h",
                 .minimum = 0,
                 .changes_training = false,
                 .default_note = "the table's"});
  visitor.field("priority", resources.priority,
                {.help = "Which of the table's prices counts.", .changes_training = false});
}

}  // namespace

void ResourcesConfig::describe(FieldVisitor& visitor) {
  describe_carbon_and_cost(*this, visitor);
  visitor.field(
      "cpu_tdp_watts", cpu_tdp_watts,
      {.help = "Thermal design power of the machine's CPUs; models their energy where no counter is readable.",
       .unit = "W",
       .minimum = 0,
       .above_minimum = true,
       .changes_training = false,
       .default_note = "none: CPU energy without a counter is missing"});
  visitor.field("gpu_tdp_watts", gpu_tdp_watts,
                {.help = "Thermal design power of one GPU; models its energy where no counter is readable.",
                 .unit = "W",
                 .minimum = 0,
                 .above_minimum = true,
                 .changes_training = false,
                 .default_note = "none: GPU energy without a counter is missing"});
  visitor.field("ram_watts_per_gib", ram_watts_per_gib,
                {.help = "What a GiB of installed memory draws; models memory's energy where no counter is readable.",
                 .unit = "W/GiB",
                 .minimum = 0,
                 .above_minimum = true,
                 .changes_training = false,
                 .default_note = "none: memory's energy without a counter is missing"});
  visitor.field("constant_watts", constant_watts,
                {.help = "What the rest of the machine draws; added as a modelled part.",
                 .unit = "W",
                 .minimum = 0,
                 .changes_training = false,
                 .default_note = "none"});
  visitor.field(
      "sampling_seconds", sampling_seconds,
      {.help = "Period of the meters.", .unit = "s", .minimum = 0.01, .maximum = 30, .changes_training = false});
  visitor.field("rapl_root", rapl_root,
                {.help = "Folder of the CPU's energy counters.", .required = true, .changes_training = false});
  visitor.field("host_gb_per_second", host_gb_per_second,
                {.help = "Speed of the host's memory in AdamW, by which `txtsum plan` counts offloaded updates.",
                 .unit = "GB/s",
                 .minimum = 0,
                 .above_minimum = true,
                 .changes_training = false,
                 .default_note = "none: times with parallel.offload are missing"});
  visitor.field("peak_tflops", peak_tflops,
                {.help = "Peak of the device in the type used, for the share of peak.",
                 .unit = "TFLOP/s",
                 .minimum = 0,
                 .above_minimum = true,
                 .changes_training = false,
                 .default_note = "none: the share is missing"});
}

}  // namespace txtsum::config
