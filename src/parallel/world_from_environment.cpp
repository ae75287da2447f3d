#include <cstdlib>
#include <string>

#include "txtsum/core/error.h"
#include "txtsum/parallel/communicator.h"

namespace txtsum::parallel {

void check_world_size_from_environment() {
  const char* text = std::getenv("WORLD_SIZE");
  if (text == nullptr || *text == '\0') return;
  char* end = nullptr;
  const long world = std::strtol(text, &end, 10);
  if (*end != '\0' || world < 1) {
    throw core::UserError("environment variable WORLD_SIZE is '" + std::string(text) +
                          "': wanted the number of ranks, a whole number from 1 on; unset it to train on one rank");
  }
  if (world == 1) return;
  throw core::UserError("environment variable WORLD_SIZE is " + std::to_string(world) +
                        ": sharded training is not in this version; start one process (Azure ML: instance_count: 1, "
                        "process_count_per_instance: 1), or unset WORLD_SIZE");
}

}  // namespace txtsum::parallel
