// A training that reads the encoder's outputs against one that runs the encoder.

#include "txtsum/train/encoder_cache.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "support/rank_threads.h"
#include "support/temporary_folder.h"
#include "training_fixture.h"
#include "txtsum/core/error.h"

namespace txtsum::tests {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

const std::vector<std::string> kFrozenEncoder{"table", "positions"};

std::vector<double> losses(const Recorder& recorder) {
  std::vector<double> losses;
  for (const train::UpdateRecord& record : recorder.updates) {
    losses.push_back(record.loss);
    losses.push_back(record.gradient_norm);
  }
  return losses;
}

/// A training whose encoder's outputs are kept in `cache_folder`; they are filled first.
struct CachedAttempt : Attempt {
  CachedAttempt(const std::string& folder, const std::string& cache_folder, at::ScalarType dtype = at::kFloat)
      : Attempt(folder, dtype, kFrozenEncoder), cache(model, core::Json::object(), data, cache_folder) {
    encoder_cache = &cache;
    fill = cache.fill(*communicator);
    calls_to_fill = model.encode_calls;
  }
  train::EncoderCache cache;
  train::EncoderCacheFill fill;
  int64_t calls_to_fill = 0;
};

TEST(EncoderCache, TrainingReadsWhatTheEncoderGaveAndNeverRunsIt) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const TemporaryFolder folder;
    Attempt plain(folder.path("plain"), dtype, kFrozenEncoder);
    plain.run();
    CachedAttempt cached(folder.path("cached"), folder.path("cache"), dtype);
    EXPECT_EQ(cached.fill.examples, 10);
    cached.run();
    EXPECT_EQ(cached.model.encode_calls, cached.calls_to_fill);
    EXPECT_GT(plain.model.encode_calls, 0);
    // This model's encoder works row by row, so that batches make no difference at all.
    EXPECT_EQ(losses(cached.recorder), losses(plain.recorder));
    EXPECT_TRUE(at::equal(cached.weights(), plain.weights()));
    EXPECT_LT(losses(cached.recorder).back(), losses(cached.recorder).front());
  }
}

TEST(EncoderCache, ALaterRunFindsTheOutputsAndGivesTheSameBits) {
  const TemporaryFolder folder;
  CachedAttempt first(folder.path("first"), folder.path("cache"));
  first.run();
  CachedAttempt second(folder.path("second"), folder.path("cache"));
  EXPECT_EQ(second.fill.examples, 0);
  EXPECT_EQ(second.calls_to_fill, 0);
  second.run();
  EXPECT_EQ(losses(second.recorder), losses(first.recorder));
  EXPECT_TRUE(at::equal(second.weights(), first.weights()));
}

TEST(EncoderCache, AResumeFromTheMiddleGivesTheBitsOfAWholeRunEvenWithAnEmptyCache) {
  const TemporaryFolder folder;
  CachedAttempt whole(folder.path("whole"), folder.path("cache"));
  whole.run();
  {
    CachedAttempt stopped(folder.path("stopped"), folder.path("cache"));
    stopped.recorder.stop_in_update = 2;
    EXPECT_THROW(stopped.run(), core::StoppedBySignal);
  }
  core::set_stop_signal(0);
  CachedAttempt resumed(folder.path("stopped"), folder.path("other_cache"));
  EXPECT_EQ(resumed.fill.examples, 10);
  resumed.settings.resume_from = folder.path("stopped/step-2");
  resumed.run();
  EXPECT_TRUE(at::equal(resumed.weights(), whole.weights()));
}

TEST(EncoderCache, RanksFillOneFileAndTrainAsOneRank) {
  const TemporaryFolder folder;
  CachedAttempt one(folder.path("one"), folder.path("cache"));
  one.run();
  for (const int64_t stage : {0, 2, 3}) {
    std::vector<double> found;
    int64_t files = 0;
    run_ranks(2, [&](parallel::Communicator& ranks) {
      Attempt attempt(folder.path("stage" + std::to_string(stage)), at::kFloat, kFrozenEncoder);
      const std::string cache_folder = folder.path("cache" + std::to_string(stage));
      train::EncoderCache cache(attempt.model, core::Json::object(), attempt.data, cache_folder);
      const train::EncoderCacheFill fill = cache.fill(ranks);
      EXPECT_EQ(fill.examples, 10);  // of both ranks
      const int64_t calls = attempt.model.encode_calls;
      attempt.share = {ranks.rank(), 2};
      attempt.settings.parallel.zero_stage = stage;
      attempt.settings.train.complete();
      attempt.settings.optimizer.complete();
      attempt.settings.schedule.complete();
      attempt.settings.validation.complete();
      attempt.settings.checkpoint.complete();
      train::DatasetBatches batches(attempt.data, attempt.settings.train, attempt.settings.seed, 2, attempt.share,
                                    &cache);
      train::TrainerParts parts{
          attempt.model,      batches, ranks, attempt.clock, nullptr, {}, [](const std::string&) {}, {}, {},
          {&attempt.recorder}};
      train::Trainer(attempt.settings, std::move(parts)).run();
      EXPECT_EQ(attempt.model.encode_calls, calls);
      if (ranks.rank() != 0) return;
      found = losses(attempt.recorder);
      for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(cache_folder)) ++files;
    });
    EXPECT_EQ(files, 1);
    const std::vector<double> wanted = losses(one.recorder);
    ASSERT_EQ(found.size(), wanted.size());
    for (size_t i = 0; i < wanted.size(); ++i) EXPECT_NEAR(found[i] / wanted[i], 1.0, 1e-5) << "stage " << stage;
  }
}

TEST(EncoderCache, RowsAreTheEncodersOutputsOfTheExamplesAsked) {
  const TemporaryFolder folder;
  CachedAttempt attempt(folder.path(), folder.path("cache"));
  const std::vector<int64_t> examples{7, 0, 3};
  std::vector<int64_t> ids, offsets{0};
  for (const int64_t example : examples) {
    for (const int32_t id : attempt.data.source(example)) ids.push_back(id);
    offsets.push_back(static_cast<int64_t>(ids.size()));
  }
  const at::Tensor wanted = attempt.model.encode(ops::make_ragged_tokens(ids, offsets, examples), {});
  EXPECT_TRUE(at::equal(attempt.cache.rows(examples), wanted));
  EXPECT_EQ(attempt.cache.empty_rows(2).count_nonzero().item<int64_t>(), 0);
}

TEST(EncoderCache, TheKeyFollowsWhatTheOutputsDependOnAndNothingElse) {
  const FakeModel model(at::kFloat, kFrozenEncoder), narrow(at::kBFloat16, kFrozenEncoder);
  FakeModel other(at::kFloat, kFrozenEncoder);
  const data::Dataset data = tiny_dataset();
  const core::Json config{{"heads", 2}, {"dtype", "float32"}, {"transformers_version", "5.0"}};
  const std::string key = train::encoder_key(model, config, data);
  EXPECT_EQ(train::encoder_key(other, config, data), key);
  // Not the decoder's weights, nor what config.json says of the file.
  other.arena().entry_values(*other.arena().layout().find("down")).add_(1.0);
  EXPECT_EQ(train::encoder_key(other, {{"heads", 2}, {"dtype", "bfloat16"}}, data), key);
  EXPECT_NE(train::encoder_key(model, {{"heads", 4}}, data), key);
  EXPECT_NE(train::encoder_key(narrow, config, data), key);
  other.arena().entry_values(*other.arena().layout().find("positions"))[3][2] += 1e-3;
  EXPECT_NE(train::encoder_key(other, config, data), key);
  // The sources, their cuts and their order; not the targets.
  std::vector<std::vector<int32_t>> sources, targets;
  for (int64_t i = 0; i < data.size(); ++i) {
    sources.emplace_back(data.source(i).begin(), data.source(i).end());
    targets.emplace_back(data.target(i).begin(), data.target(i).end());
  }
  targets[4].push_back(9);
  EXPECT_EQ(train::encoder_key(model, config, data::Dataset::from_ids(sources, targets)), key);
  std::swap(sources[1], sources[2]);
  EXPECT_NE(train::encoder_key(model, config, data::Dataset::from_ids(sources, targets)), key);
  std::swap(sources[1], sources[2]);
  sources[6].pop_back();
  EXPECT_NE(train::encoder_key(model, config, data::Dataset::from_ids(sources, targets)), key);
}

TEST(EncoderCache, AnEncoderThatLearnsIsRefusedByName) {
  const FakeModel learns(at::kFloat, {"table"});
  EXPECT_THAT([&] { train::check_encoder_is_fixed(learns); },
              ThrowsMessage<core::UserError>(AllOf(HasSubstr("train.cache_encoder"), HasSubstr("reads positions"),
                                                   HasSubstr("model.freeze=encoder"))));
}

TEST(EncoderCache, AStopSignalLeavesWhatWasMade) {
  const TemporaryFolder folder;
  const FakeModel model(at::kFloat, kFrozenEncoder);
  const data::Dataset data = tiny_dataset();
  const auto ranks = parallel::make_single_communicator();
  train::EncoderCache cache(model, core::Json::object(), data, folder.path());
  core::set_stop_signal(15);
  EXPECT_THAT([&] { cache.fill(*ranks); }, ThrowsMessage<core::StoppedBySignal>(HasSubstr("start again")));
  core::set_stop_signal(0);
  EXPECT_EQ(cache.fill(*ranks).examples, 10);
}

}  // namespace
}  // namespace txtsum::tests
