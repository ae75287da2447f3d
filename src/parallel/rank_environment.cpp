#include "txtsum/parallel/rank_environment.h"

#include <charconv>
#include <cstdlib>

#include "txtsum/core/error.h"

namespace txtsum::parallel {
namespace {

constexpr int64_t kMostRanks = 1 << 20;
constexpr int64_t kLastPort = 65535;

/// What a launcher calls its variables.
struct Names {
  std::string rank, world, local_rank, local_world;
};

const Names kVariables{"RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"};
const Names kOpenMpi{"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK",
                     "OMPI_COMM_WORLD_LOCAL_SIZE"};
const Names kPmi{"PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS"};

class Reader {
 public:
  explicit Reader(const VariableLookup& lookup) : lookup_(lookup) {}

  std::optional<std::string> text(const std::string& name) const {
    const std::optional<std::string> value = lookup_(name);
    return value && !value->empty() ? value : std::nullopt;
  }

  std::optional<int64_t> number(const std::string& name, int64_t lowest, int64_t highest) const {
    const std::optional<std::string> value = text(name);
    if (!value) return std::nullopt;
    int64_t parsed = 0;
    const auto [end, problem] = std::from_chars(value->data(), value->data() + value->size(), parsed);
    if (problem != std::errc() || end != value->data() + value->size() || parsed < lowest || parsed > highest) {
      throw core::UserError("environment variable " + name + " is '" + *value + "': wanted a whole number from " +
                            std::to_string(lowest) + " to " + std::to_string(highest) +
                            "; whatever starts the ranks sets it, and to train on one rank it is unset");
    }
    return parsed;
  }

  /// `because`: what is set and asks for it.
  template <typename Value>
  Value needed(const std::optional<Value>& value, const std::string& name, const std::string& because) const {
    if (value) return *value;
    throw core::UserError("environment variable " + because + " is set, but " + name +
                          " is not: whatever starts the ranks (txtsum launch, mpirun, torchrun, Azure ML) sets both; "
                          "unset " +
                          because + " to train on one rank");
  }

 private:
  const VariableLookup& lookup_;
};

/// None where nothing says how many ranks there are.
std::optional<RankEnvironment> read_names(const Reader& reader, const Names& names, RankSource source) {
  RankEnvironment found;
  const std::optional<int64_t> world = reader.number(names.world, 1, kMostRanks);
  if (!world) {
    if (reader.text(names.rank)) reader.needed(world, names.world, names.rank);
    return std::nullopt;
  }
  found.world = *world;
  const std::optional<int64_t> rank = reader.number(names.rank, 0, found.world - 1);
  const std::optional<int64_t> local_rank = reader.number(names.local_rank, 0, found.world - 1);
  const std::optional<int64_t> local_world = reader.number(names.local_world, 1, found.world);
  // WORLD_SIZE=1 alone says that there is nothing to say.
  if (found.world == 1) {
    found.local_world = 1;
    return found;
  }
  found.source = source;
  found.rank = reader.needed(rank, names.rank, names.world);
  found.local_rank = reader.needed(local_rank, names.local_rank, names.world);
  found.local_world = local_world.value_or(0);
  if (local_world && found.local_rank >= *local_world) {
    throw core::UserError("environment variable " + names.local_rank + " is " + std::to_string(found.local_rank) +
                          ", but " + names.local_world + " is " + std::to_string(*local_world) +
                          ": the ranks of a machine count from 0");
  }
  return found;
}

std::string in_words(const RankEnvironment& environment) {
  return "rank " + std::to_string(environment.rank) + " of " + std::to_string(environment.world);
}

}  // namespace

RankEnvironment read_rank_environment(const VariableLookup& lookup) {
  const Reader reader(lookup);
  std::optional<RankEnvironment> variables = read_names(reader, kVariables, RankSource::kVariables);
  std::optional<RankEnvironment> mpi = read_names(reader, kOpenMpi, RankSource::kMpi);
  if (!mpi) mpi = read_names(reader, kPmi, RankSource::kMpi);
  // A launcher started by mpirun or srun as their only rank leaves their variables around.
  if (mpi && (mpi->world > 1 || !variables)) {
    if (variables && (variables->world != mpi->world || variables->rank != mpi->rank)) {
      throw core::UserError("the environment says " + in_words(*variables) + " (RANK, WORLD_SIZE) and " +
                            in_words(*mpi) + " (mpirun): unset RANK and WORLD_SIZE, or start the ranks without mpirun");
    }
    return *mpi;
  }
  if (!variables) return {};
  if (variables->world > 1) {
    variables->master_address = reader.needed(reader.text("MASTER_ADDR"), "MASTER_ADDR", "WORLD_SIZE");
    variables->master_port = reader.needed(reader.number("MASTER_PORT", 1, kLastPort), "MASTER_PORT", "WORLD_SIZE");
  }
  return *variables;
}

RankEnvironment rank_environment() {
  return read_rank_environment([](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    return value == nullptr ? std::nullopt : std::optional<std::string>(value);
  });
}

}  // namespace txtsum::parallel
