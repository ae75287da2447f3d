// Updates on a GPU with masters and moments, and weights, in host memory.

#include <limits>

#include "parity/device_update_fixture.h"
#include "train/memory_account.h"
#include "txtsum/config/field.h"
#include "txtsum/core/error.h"

namespace txtsum::tests {
namespace {

/// What lies in host memory, in a stage that has it.
const std::vector<config::ParallelConfig> kOffloads{
    {.offload = config::Offload::kOptimizer},
    {.zero_stage = 1, .offload = config::Offload::kOptimizer},
    {.zero_stage = 2, .offload = config::Offload::kOptimizer},
    {.zero_stage = 3, .offload = config::Offload::kOptimizer},
    {.zero_stage = 3, .offload = config::Offload::kOptimizerAndParameters}};

/// The CPU's update rounds otherwise than the GPU's. Graphs change no bit, nor does where the weights lie.
TEST_F(DeviceUpdateStep, OffloadTrainsAlike) {
  for (const auto& [dtype, tolerance] :
       {std::pair(at::kFloat, kDeviceLossTolerance), {at::kBFloat16, 1e-2}, {at::kHalf, 2e-3}}) {
    for (const char* family : {"bart", "pegasus"}) {
      const Numbers plain = train({.family = family, .dtype = dtype});
      Numbers last;
      for (const config::ParallelConfig& parallel : kOffloads) {
        SCOPED_TRACE(std::string(family) + " in " + c10::toString(dtype) + ", stage " +
                     std::to_string(parallel.zero_stage) + ", " + std::string(config::name_of(parallel.offload)));
        const Numbers graphs = train({.family = family, .dtype = dtype, .parallel = parallel});
        const Numbers eager = train({.family = family, .dtype = dtype, .max_graphs = 0, .parallel = parallel});
        expect_near(graphs, plain, tolerance);
        EXPECT_EQ(graphs.losses, eager.losses);
        EXPECT_EQ(graphs.norms, eager.norms);
        EXPECT_TRUE(at::equal(graphs.weights, eager.weights));
        if (parallel.offload == config::Offload::kOptimizerAndParameters) {
          EXPECT_EQ(graphs.losses, last.losses);
          EXPECT_TRUE(at::equal(graphs.weights, last.weights));
        }
        last = graphs;
      }
    }
  }
}

TEST_F(DeviceUpdateStep, AnOverflowIsLeftOutWithOffloadToo) {
  const Numbers plain = train({.dtype = at::kHalf, .overflows = true});
  for (const config::ParallelConfig& parallel : kOffloads) {
    SCOPED_TRACE("stage " + std::to_string(parallel.zero_stage) + ", " +
                 std::string(config::name_of(parallel.offload)));
    const Numbers offloaded = train({.dtype = at::kHalf, .parallel = parallel, .overflows = true});
    for (size_t i = 0; i < static_cast<size_t>(kUpdates); ++i) {
      if (i == 1) continue;  // its norm is not finite
      EXPECT_NEAR(offloaded.losses[i] / plain.losses[i], 1.0, 2e-3) << "update " << i + 1;
      EXPECT_NEAR(offloaded.norms[i] / plain.norms[i], 1.0, 2e-2) << "update " << i + 1;
    }
  }
}

/// Without clipping it need not know the norm. Of so large a norm as no gradient has, it asks.
TEST_F(DeviceUpdateStep, OffloadThatGoesAlongWithTheBackwardPassGivesTheSameBits) {
  const WideBart wide;
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    for (const std::string& folder : {std::string(), wide.path()}) {
      for (const config::ParallelConfig& parallel : kOffloads) {
        for (const bool doubles : {false, true}) {
          SCOPED_TRACE(std::string(folder.empty() ? "tiny" : "wide") + " in " + c10::toString(dtype) + ", stage " +
                       std::to_string(parallel.zero_stage) + ", " + std::string(config::name_of(parallel.offload)) +
                       (doubles ? ", several micro-batches" : ""));
          Way way{.dtype = dtype, .wide = folder, .parallel = parallel, .clip_norm = 1e30, .doubles = doubles};
          const Numbers waits = train(way);
          expect_learns(waits);
          way.clip_norm = 0.0;
          const Numbers graphs = train(way);
          way.max_graphs = 0;
          for (const Numbers& along : {graphs, train(way)}) {
            EXPECT_EQ(along.losses, waits.losses);
            EXPECT_EQ(along.norms, waits.norms);
            EXPECT_TRUE(at::equal(along.weights, waits.weights));
          }
        }
      }
    }
  }
}

TEST_F(DeviceUpdateStep, OffloadThatGoesAlongLeavesWeightsAloneWhereTheLossIsNotFinite) {
  const TransformerFixture fixture("bart");
  model::LoadRequest request;
  request.folder = fixture.folder();
  request.device = test_device();
  FixtureBatches batches(fixture);
  config::TrainConfig config;
  config.clip_norm = 0.0;
  config::OptimizerConfig optimizer_config;
  optimizer_config.complete();
  for (const config::ParallelConfig& parallel : kOffloads) {
    SCOPED_TRACE("stage " + std::to_string(parallel.zero_stage) + ", " +
                 std::string(config::name_of(parallel.offload)));
    const model::LoadedModel loaded = model::load_model(request);
    const auto communicator = parallel::make_single_communicator();
    model::Arena& arena = loaded.model->arena();
    train::Sharding sharding(arena, *communicator, parallel, train::gradient_type(arena, batches));
    const auto optimizer = train::make_optimizer(optimizer_config, sharding.space());
    const auto step = train::make_update_step({config, 42, *loaded.model, batches, sharding, *optimizer});
    EXPECT_NE(sharding.gradient_marks(), nullptr);
    at::Tensor(sharding.space().working).fill_(std::numeric_limits<double>::quiet_NaN());
    sharding.weights_changed();
    step->start(batches.batch(0, 0), 1, 2e-3);
    EXPECT_THROW(step->finish(), core::DataError);
    for (const auto& [kind, moment] : optimizer->moments())
      EXPECT_EQ(moment.count_nonzero().item<int64_t>(), 0) << kind;
  }
}

/// Masters and moments are no longer the GPU's.
TEST_F(DeviceUpdateStep, OffloadedStatesTakeNoGpuMemory) {
  const TransformerFixture fixture("bart");
  model::LoadRequest request;
  request.folder = fixture.folder();
  request.dtype = at::kBFloat16;
  request.device = test_device();
  FixtureBatches batches(fixture);
  for (const config::ParallelConfig& parallel : kOffloads) {
    const model::LoadedModel loaded = model::load_model(request);
    const auto communicator = parallel::make_single_communicator();
    train::Sharding sharding(loaded.model->arena(), *communicator, parallel, at::kBFloat16);
    config::OptimizerConfig optimizer_config;
    optimizer_config.complete();
    const auto optimizer = train::make_optimizer(optimizer_config, sharding.space());
    const config::TrainConfig config;
    const train::MemoryAccount account = train::account_of({config, 42, *loaded.model, batches, sharding, *optimizer});
    EXPECT_EQ(account.masters, 0);
    EXPECT_EQ(account.moments, 0);
    const int64_t weights = sharding.offloaded_value_bytes();
    EXPECT_EQ(account.offloaded, 12 * sharding.space().numel + weights);
    EXPECT_EQ(weights > 0, parallel.offload == config::Offload::kOptimizerAndParameters);
    EXPECT_TRUE(optimizer->masters().is_pinned());
  }
}

}  // namespace
}  // namespace txtsum::tests
