#include "txtsum/metrics/hf_results.h"

#include <gtest/gtest.h>

#include "support/temporary_folder.h"
#include "txtsum/core/json.h"

namespace txtsum::tests {
namespace {

using core::Json;

// Files that transformers' own Seq2SeqTrainer wrote. Throughputs come from its unrounded runtime, so they are compared
// within the rounding of the runtime that the file shows.
class HfResultsTest : public ::testing::Test {
 protected:
  static Json fixture(const std::string& name) {
    return core::read_json_file(TXTSUM_SOURCE_DIR "/tests/fixtures/metrics/hf_results.json").at(name);
  }
  static metrics::TrainResults train_inputs(const Json& file) {
    metrics::TrainResults results;
    results.epoch = 2;
    results.loss = file.at("train_loss").get<double>();
    results.runtime_seconds = file.at("train_runtime").get<double>();
    results.samples = 18;
    results.samples_trained = 36;
    results.max_steps = 10;
    results.total_flos = file.at("total_flos").get<double>();
    return results;
  }
  static metrics::SplitResults split_inputs(const Json& file, const std::string& prefix) {
    metrics::SplitResults results;
    results.loss = file.at(prefix + "_loss").get<double>();
    results.rouge = {{"rouge1", 0.123456789}, {"rouge2", 0.05}, {"rougeL", 0.1}, {"rougeLsum", 0.11}};
    results.gen_len = 7.25;
    results.runtime_seconds = file.at(prefix + "_runtime").get<double>();
    results.samples = file.at(prefix + "_samples").get<int64_t>();
    results.steps = 2;
    if (file.contains("epoch")) results.epoch = 2;
    return results;
  }
  static void expect_same(const Json& ours, const Json& theirs) {
    for (const auto& [key, value] : theirs.items()) {
      ASSERT_TRUE(ours.contains(key)) << key;
      if (key.find("per_second") != std::string::npos) {
        EXPECT_NEAR(ours.at(key).get<double>(), value.get<double>(), 0.00151) << key;
      } else {
        EXPECT_EQ(ours.at(key), value) << key;
      }
    }
    EXPECT_EQ(ours.size(), theirs.size());
  }
};

TEST_F(HfResultsTest, ResultFilesAreThoseOfTransformers) {
  const Json train = fixture("train_results");
  expect_same(metrics::train_results(train_inputs(train)), train);
  for (const std::string prefix : {"eval", "predict"}) {
    const Json file = fixture(prefix + "_results");
    expect_same(metrics::split_results(split_inputs(file, prefix), prefix), file);
  }
}

TEST_F(HfResultsTest, PartsAreMergedIntoAllResults) {
  TemporaryFolder folder;
  metrics::write_results(folder.path(), "train", metrics::train_results(train_inputs(fixture("train_results"))));
  for (const std::string prefix : {"eval", "predict"}) {
    metrics::write_results(folder.path(), prefix,
                           metrics::split_results(split_inputs(fixture(prefix + "_results"), prefix), prefix));
  }
  const Json all = core::read_json_file(folder.path("all_results.json"));
  expect_same(all, fixture("all_results"));
  std::string last;
  for (const auto& [key, value] : all.items()) {
    EXPECT_LT(last, key);
    last = key;
  }
}

TEST_F(HfResultsTest, PureStepThroughputHasItsOwnKeys) {
  metrics::TrainResults results = train_inputs(fixture("train_results"));
  results.step_seconds = 4.0;
  const Json json = metrics::train_results(results);
  EXPECT_DOUBLE_EQ(json.at("train_pure_step_samples_per_second").get<double>(), 9.0);
  EXPECT_FALSE(metrics::results_log_entry(json, 10, 2).contains("train_pure_step_samples_per_second"));
}

TEST_F(HfResultsTest, TrainerStateIsThatOfTransformers) {
  const Json theirs = fixture("trainer_state");
  metrics::TrainerState state;
  state.epoch = 2;
  state.global_step = 10;
  state.max_steps = 10;
  state.num_train_epochs = 2;
  state.logging_steps = 2;
  state.eval_steps = state.save_steps = 500;
  state.train_batch_size = 4;
  state.total_flos = theirs.at("total_flos").get<double>();
  state.best_metric = 12.3457;
  state.best_global_step = 5;
  state.best_model_checkpoint = "RUN/checkpoint-5";
  const Json& history = theirs.at("log_history");
  const Json& first = history[0];
  state.log_history.push_back(metrics::training_log_entry(2, 0.4, first.at("loss").get<double>(),
                                                          first.at("grad_norm").get<double>(),
                                                          first.at("learning_rate").get<double>()));
  EXPECT_EQ(state.log_history[0], first);
  for (size_t i = 1; i < history.size(); ++i) state.log_history.push_back(history[i]);
  Json ours = metrics::trainer_state(state);
  ours["stateful_callbacks"] = theirs.at("stateful_callbacks");  // Ours holds no callbacks of transformers.
  EXPECT_EQ(ours, theirs);
}

TEST_F(HfResultsTest, LoggedResultsLeaveOutWhatTheScriptAdds) {
  const Json theirs = fixture("trainer_state").at("log_history").back();
  const Json ours = metrics::results_log_entry(metrics::train_results(train_inputs(fixture("train_results"))), 10, 2);
  expect_same(ours, theirs);
}

TEST_F(HfResultsTest, AnInstantRunHasNoThroughput) {
  metrics::SplitResults results;
  EXPECT_FALSE(metrics::split_results(results, "eval").contains("eval_samples_per_second"));
  EXPECT_FALSE(metrics::split_results(results, "eval").contains("eval_loss"));
}

}  // namespace
}  // namespace txtsum::tests
