// Updates of tiny models on a GPU: rounded up, captured and without waiting, against plain ones one after the other.

#include <gtest/gtest.h>

#include <limits>

#include "parity/transformer_fixture.h"
#include "support/temporary_folder.h"
#include "support/test_device.h"
#include "support/tolerances.h"
#include "train/bucket.h"
#include "train/memory_account.h"
#include "train/update_step.h"
#include "txtsum/config/field.h"
#include "txtsum/core/error.h"
#include "txtsum/core/file.h"
#include "txtsum/train/state_bytes.h"

namespace txtsum::tests {
namespace {

constexpr int kUpdates = 6;

/// The fixture's batches in turn.
class FixtureBatches final : public train::BatchSource {
 public:
  explicit FixtureBatches(const TransformerFixture& fixture) : fixture_(fixture) {}
  int64_t examples() const override { return 12; }
  int64_t updates_in_epoch(int64_t) override { return TransformerFixture::kBatches; }
  bool one_micro_batch() override { return true; }
  train::GlobalBatch batch(int64_t, int64_t index) override {
    const int k = static_cast<int>(index % TransformerFixture::kBatches);
    const train::MicroBatch micro{fixture_.tokens(k, "source"), fixture_.tokens(k, "target")};
    return {{micro}, {}, micro.source.tokens(), micro.labels.tokens()};
  }

 private:
  const TransformerFixture& fixture_;
};

/// Random batches of documents around the length from which on LongBigBird's attention is block-sparse.
class LongBatches final : public train::BatchSource {
 public:
  int64_t examples() const override { return 9; }
  int64_t updates_in_epoch(int64_t) override { return 3; }
  bool one_micro_batch() override { return true; }
  train::GlobalBatch batch(int64_t, int64_t index) override {
    static const std::vector<std::vector<int64_t>> kLengths{{700, 64, 449}, {1024, 3, 448}, {512, 600, 30}};
    at::manual_seed(static_cast<uint64_t>(index % 3));
    const train::MicroBatch micro{tokens(kLengths[static_cast<size_t>(index % 3)]), tokens({9, 5, 20})};
    return {{micro}, {}, micro.source.tokens(), micro.labels.tokens()};
  }

 private:
  static ops::RaggedTokens tokens(const std::vector<int64_t>& lengths) {
    std::vector<int64_t> offsets{0}, examples;
    for (const int64_t length : lengths) {
      examples.push_back(static_cast<int64_t>(examples.size()));
      offsets.push_back(offsets.back() + length);
    }
    const at::Tensor ids = at::randint(3, 99, {offsets.back()}, at::kLong);
    const int64_t* data = ids.const_data_ptr<int64_t>();
    return ops::make_ragged_tokens({data, data + ids.numel()}, offsets, examples);
  }
};

/// A BART of few layers that an offloaded update takes in several chunks.
class WideBart {
 public:
  WideBart() {
    core::Json config = core::read_json_file(TransformerFixture("bart").folder() + "/config.json");
    config.update({{"d_model", 512}, {"encoder_ffn_dim", 4096}, {"decoder_ffn_dim", 4096}, {"init_std", 0.02}});
    core::write_file(folder_.path("config.json"), config.dump());
  }
  std::string path() const { return folder_.path(); }

 private:
  TemporaryFolder folder_;
};

/// A BigBird-Pegasus of few layers whose blocks and heads are those of the published ones.
class LongBigBird {
 public:
  LongBigBird() {
    core::Json config = core::read_json_file(TransformerFixture("bigbird_pegasus").folder() + "/config.json");
    config.update({{"d_model", 128},
                   {"encoder_attention_heads", 2},
                   {"block_size", 64},
                   {"num_random_blocks", 1},
                   {"init_std", 0.02},  // what the fixture has makes so wide a model chaotic
                   {"max_position_embeddings", 1024}});
    core::write_file(folder_.path("config.json"), config.dump());
  }
  std::string path() const { return folder_.path(); }

 private:
  TemporaryFolder folder_;
};

struct Numbers {
  std::vector<double> losses, norms;
  at::Tensor weights;
};

struct Way {
  std::string family = "bart";
  at::ScalarType dtype = at::kFloat;
  double attention_dropout = 0.0;
  bool plain = false;  ///< Update by update, on batches that are rounded up alike.
  int64_t max_graphs = 64;
  std::string long_bigbird = "";  ///< Folder of a LongBigBird, in place of the family's fixture.
  std::string wide = "";          ///< Folder of a WideBart, likewise.
  std::optional<uint64_t> block_seed = std::nullopt;
  config::ParallelConfig parallel = {};
  double clip_norm = 1.0;
  bool overflows = false;       ///< The second update's gradients do, by its loss scale.
  bool frozen_encoder = false;  ///< And nothing is dropped in it.
  bool reads_encoder = false;   ///< Its outputs are made once and read.
  bool doubles =
      false;  ///< Of six updates the last three take their micro-batch twice; of such updates there are twelve.
};

Numbers train(const Way& way) {
  const TransformerFixture fixture(way.family);
  model::LoadRequest request;
  request.folder = fixture.folder();
  request.dtype = way.dtype;
  request.device = test_device();
  request.dropout = 0.1;
  request.attention_dropout = way.attention_dropout;
  if (way.frozen_encoder) request.freeze = {"encoder"};
  request.encoder_dropout = !way.frozen_encoder;
  const bool is_long = !way.long_bigbird.empty();
  if (!way.wide.empty()) {
    request.folder = way.wide;
    request.random_weights = true;
  }
  if (is_long) {
    request.folder = way.long_bigbird;
    request.random_weights = true;
    request.random_blocks = model::RandomBlockChoice{way.block_seed};
  }
  const model::LoadedModel loaded = model::load_model(request);
  FixtureBatches fixture_batches(fixture);
  LongBatches long_batches;
  train::BatchSource& batches =
      is_long ? static_cast<train::BatchSource&>(long_batches) : static_cast<train::BatchSource&>(fixture_batches);
  config::TrainConfig config;
  config.max_graphs = way.max_graphs;
  config.clip_norm = way.clip_norm;
  config::OptimizerConfig optimizer_config;
  optimizer_config.beta1 = 0.9;
  const auto communicator = parallel::make_single_communicator();
  model::Arena& arena = loaded.model->arena();
  train::Sharding sharding(arena, *communicator, way.parallel,
                           way.plain ? at::kFloat : train::gradient_type(arena, batches));
  const auto optimizer = train::make_optimizer(optimizer_config, sharding.space());
  const train::UpdateParts parts{config, 42, *loaded.model, batches, sharding, *optimizer};
  const auto step = way.plain ? train::make_plain_update_step(parts) : train::make_update_step(parts);
  Numbers numbers;
  for (int update = 1; update <= (way.doubles ? 2 : 1) * kUpdates; ++update) {
    train::GlobalBatch batch = batches.batch(0, update - 1);
    train::MicroBatch& micro = batch.micro_batches.front();
    if (way.reads_encoder) {
      const at::NoGradGuard no_grad;
      micro.encoded_ND = loaded.model->encode(ops::to_device(micro.source, test_device()), {}).cpu();
    }
    if (way.plain) {
      const model::ModelFacts& facts = loaded.model->facts();
      micro = train::pad_to(micro, train::bucket_of(micro, facts), facts.pad_id);
    }
    if (way.doubles && (update - 1) / 3 % 2 == 1) {
      batch.micro_batches.push_back(train::MicroBatch(micro));
      batch.source_tokens *= 2;
      batch.target_tokens *= 2;
    }
    const bool overflows = way.overflows && update == 2;
    const std::optional<ops::LossScaleState> scale = step->loss_scale();
    if (overflows) step->restore({0x1p100, 0, 0});
    const at::Tensor masters = optimizer->masters().clone();
    step->start(batch, update, 2e-3);
    const train::UpdateResult result = step->finish();
    EXPECT_EQ(result.left_out, overflows) << "update " << update;
    EXPECT_EQ(at::equal(optimizer->masters(), masters), overflows) << "update " << update;
    if (overflows) step->restore({scale->scale, 0, step->loss_scale()->left_out});
    numbers.losses.push_back(result.loss);
    numbers.norms.push_back(result.gradient_norm);
  }
  numbers.weights = optimizer->masters().cpu();
  return numbers;
}

void expect_near(const Numbers& ours, const Numbers& wanted, double tolerance) {
  for (size_t i = 0; i < static_cast<size_t>(kUpdates); ++i) {
    EXPECT_NEAR(ours.losses[i] / wanted.losses[i], 1.0, tolerance) << "update " << i + 1;
    EXPECT_NEAR(ours.norms[i] / wanted.norms[i], 1.0, 100 * tolerance) << "update " << i + 1;
  }
}

void expect_learns(const Numbers& numbers) {
  EXPECT_LT(numbers.losses.back(), numbers.losses.front()) << "it learns nothing";
}

struct DeviceUpdateStep : testing::Test {
  void SetUp() override {
    if (test_device().is_cpu()) GTEST_SKIP() << "needs a GPU";
    ops::use_deterministic_kernels();
  }
};

TEST_F(DeviceUpdateStep, EqualsPlainUpdatesInFp32) {
  for (const std::string& family : kFamilies) {
    SCOPED_TRACE(family);
    const Numbers found = train({.family = family});
    expect_near(found, train({.family = family, .plain = true}), kDeviceLossTolerance);
    expect_learns(found);
  }
}

/// Attention goes sequence by sequence here, with masks that are the same for batches rounded up alike.
TEST_F(DeviceUpdateStep, EqualsPlainUpdatesWithDroppedProbabilities) {
  expect_near(train({.attention_dropout = 0.2}), train({.attention_dropout = 0.2, .plain = true}),
              kDeviceLossTolerance);
}

TEST_F(DeviceUpdateStep, GraphsGiveTheBitsOfEagerRuns) {
  for (const std::string& family : kFamilies) {
    for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16, at::kHalf}) {
      if (dtype == at::kHalf && family.starts_with("t5")) continue;  // refused
      SCOPED_TRACE(family + " in " + c10::toString(dtype));
      const Numbers graphs = train({.family = family, .dtype = dtype});
      const Numbers eager = train({.family = family, .dtype = dtype, .max_graphs = 0});
      EXPECT_EQ(graphs.losses, eager.losses);
      EXPECT_EQ(graphs.norms, eager.norms);
      EXPECT_TRUE(at::equal(graphs.weights, eager.weights));
    }
  }
}

/// A micro-batch that is alone writes gradients, others add to them: their graphs are not the same.
TEST_F(DeviceUpdateStep, UpdatesOfOneAndOfSeveralMicroBatchesOfAShapeTakeTurns) {
  for (const std::string& family : kFamilies) {
    SCOPED_TRACE(family);
    const Numbers graphs = train({.family = family, .doubles = true});
    const Numbers eager = train({.family = family, .max_graphs = 0, .doubles = true});
    EXPECT_EQ(graphs.losses, eager.losses);
    EXPECT_EQ(graphs.norms, eager.norms);
    EXPECT_TRUE(at::equal(graphs.weights, eager.weights));
    expect_near(graphs, train({.family = family, .plain = true, .doubles = true}), kDeviceLossTolerance);
  }
}

TEST_F(DeviceUpdateStep, OutputsOfAFrozenEncoderAreReadInGraphsToo) {
  for (const std::string& family : kFamilies) {
    SCOPED_TRACE(family);
    const Numbers runs = train({.family = family, .plain = true, .frozen_encoder = true});
    const Numbers reads = train({.family = family, .frozen_encoder = true, .reads_encoder = true});
    expect_near(reads, runs, kDeviceLossTolerance);
    const Numbers eager = train({.family = family, .max_graphs = 0, .frozen_encoder = true, .reads_encoder = true});
    EXPECT_EQ(reads.losses, eager.losses);
    EXPECT_TRUE(at::equal(reads.weights, eager.weights));
    const Numbers narrow =
        train({.family = family, .dtype = at::kBFloat16, .frozen_encoder = true, .reads_encoder = true});
    EXPECT_NEAR(narrow.losses.back() / reads.losses.back(), 1.0, 3e-2);
  }
}

TEST_F(DeviceUpdateStep, NarrowTypesFollowFp32) {
  for (const auto& [family, dtype, tolerance] : {std::tuple("bart", at::kBFloat16, 3e-2),
                                                 {"bart", at::kHalf, 4e-3},
                                                 {"pegasus", at::kBFloat16, 3e-2},
                                                 {"t5_gated", at::kBFloat16, 3e-2}}) {
    SCOPED_TRACE(std::string(family) + " in " + c10::toString(dtype));
    const Numbers wide = train({.family = family}), narrow = train({.family = family, .dtype = dtype});
    for (size_t i = 0; i < static_cast<size_t>(kUpdates); ++i) {
      EXPECT_NEAR(narrow.losses[i] / wide.losses[i], 1.0, tolerance) << dtype << ", update " << i + 1;
    }
  }
}

/// In fp32 attention goes block by block; in bf16 and fp16 it is a kernel, and the update a graph.
TEST_F(DeviceUpdateStep, BlockSparseAttentionIsTheSameInGraphsAndFollowsFp32) {
  const LongBigBird folder;
  for (const std::optional<uint64_t>& seed : {std::optional<uint64_t>(), std::optional<uint64_t>(4)}) {
    const Numbers wide = train({.long_bigbird = folder.path(), .block_seed = seed});
    for (const auto& [dtype, tolerance] : {std::pair(at::kBFloat16, 3e-2), {at::kHalf, 4e-3}}) {
      SCOPED_TRACE(std::string(c10::toString(dtype)) + (seed ? ", seeded" : ", as transformers evaluates"));
      const Numbers graphs = train({.dtype = dtype, .long_bigbird = folder.path(), .block_seed = seed});
      const Numbers eager = train({.dtype = dtype, .max_graphs = 0, .long_bigbird = folder.path(), .block_seed = seed});
      EXPECT_EQ(graphs.losses, eager.losses);
      EXPECT_EQ(graphs.norms, eager.norms);
      EXPECT_TRUE(at::equal(graphs.weights, eager.weights));
      for (size_t i = 0; i < static_cast<size_t>(kUpdates); ++i) {
        EXPECT_NEAR(graphs.losses[i] / wide.losses[i], 1.0, tolerance) << "update " << i + 1;
      }
    }
  }
}

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

/// The masks of probabilities are drawn from the GPU's generator.
TEST_F(DeviceUpdateStep, GraphsOfAnySharingDropProbabilitiesAsEagerRunsDo) {
  for (const config::ParallelConfig& parallel :
       {config::ParallelConfig{}, {.zero_stage = 2}, {.offload = config::Offload::kOptimizer}}) {
    SCOPED_TRACE("stage " + std::to_string(parallel.zero_stage));
    Way way{.dtype = at::kBFloat16, .attention_dropout = 0.2, .parallel = parallel, .clip_norm = 0.0};
    const Numbers graphs = train(way);
    way.max_graphs = 0;
    const Numbers eager = train(way);
    EXPECT_EQ(graphs.losses, eager.losses);
    EXPECT_TRUE(at::equal(graphs.weights, eager.weights));
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
