#pragma once

#include <gtest/gtest.h>

#include "parity/transformer_fixture.h"
#include "support/temporary_folder.h"
#include "support/test_device.h"
#include "support/tolerances.h"
#include "train/bucket.h"
#include "train/update_step.h"
#include "txtsum/core/file.h"
#include "txtsum/train/state_bytes.h"

namespace txtsum::tests {

inline constexpr int kUpdates = 6;

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

/// Makes kUpdates updates; fails where one that overflows changes the masters, or another one does not.
inline Numbers train(const Way& way) {
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

inline void expect_near(const Numbers& ours, const Numbers& wanted, double tolerance) {
  for (size_t i = 0; i < static_cast<size_t>(kUpdates); ++i) {
    EXPECT_NEAR(ours.losses[i] / wanted.losses[i], 1.0, tolerance) << "update " << i + 1;
    EXPECT_NEAR(ours.norms[i] / wanted.norms[i], 1.0, 100 * tolerance) << "update " << i + 1;
  }
}

inline void expect_learns(const Numbers& numbers) {
  EXPECT_LT(numbers.losses.back(), numbers.losses.front()) << "it learns nothing";
}

struct DeviceUpdateStep : testing::Test {
  void SetUp() override {
    if (test_device().is_cpu()) GTEST_SKIP() << "needs a GPU";
    ops::use_deterministic_kernels();
  }
};

}  // namespace txtsum::tests
