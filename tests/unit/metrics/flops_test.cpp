#include "txtsum/metrics/flops.h"

#include <gtest/gtest.h>

#include "txtsum/core/error.h"
#include "txtsum/core/json.h"

namespace txtsum::tests {
namespace {

using metrics::EncoderDecoderShape;
using metrics::LengthSums;
using metrics::TrainableParts;

EncoderDecoderShape tiny_shape() {
  EncoderDecoderShape shape;
  shape.model_width = shape.attention_width = 16;
  shape.encoder_feed_forward = 40;
  shape.decoder_feed_forward = 24;
  shape.encoder_layers = 3;
  shape.decoder_layers = 2;
  shape.vocabulary = 64;
  return shape;
}

TrainableParts parts_without(const core::Json& frozen) {
  TrainableParts parts{true, true, std::vector<bool>(3, true), std::vector<bool>(2, true)};
  for (const core::Json& item : frozen) {
    const std::string part = item.get<std::string>();
    const size_t dot = part.find('.');
    if (dot == std::string::npos) {
      parts.embeddings = parts.output_table = false;
      continue;
    }
    auto& layers = part.rfind("encoder", 0) == 0 ? parts.encoder_layers : parts.decoder_layers;
    layers[std::stoul(part.substr(dot + 1))] = false;
  }
  return parts;
}

// The fixture counts the products that torch ran for transformers' model, whose decoder also multiplies masked pairs; a
// decoder layer spends 4 A FLOPs on each.
TEST(Flops, EqualWhatTorchCountsForTransformersModel) {
  const core::Json fixture = core::read_json_file(TXTSUM_SOURCE_DIR "/tests/fixtures/metrics/flops.json");
  LengthSums sums;
  for (const core::Json& pair : fixture.at("lengths")) sums.add(pair[0].get<int64_t>(), pair[1].get<int64_t>());
  const EncoderDecoderShape shape = tiny_shape();
  const double masked_layer = 4.0 * 16 * fixture.at("masked_pairs").get<double>();
  for (const auto& [name, item] : fixture.at("cases").items()) {
    const TrainableParts parts = parts_without(item.at("frozen"));
    const auto flops = metrics::train_flops(shape, sums, parts);
    EXPECT_EQ(flops.forward, item.at("forward").get<double>() - 2 * masked_layer) << name;
    bool self = parts.embeddings;
    bool encoder = parts.embeddings;
    for (const bool own : parts.encoder_layers) encoder = encoder || own;
    double masked = 0;
    for (const bool own : parts.decoder_layers) {
      self = self || own;
      if (self) masked += 2 * masked_layer;
      self = self || encoder;
    }
    EXPECT_EQ(flops.backward, item.at("backward").get<double>() - masked) << name;
  }
}

TEST(Flops, EverythingTrainableCostsTwiceTheForwardPassButForTheEmbeddingsInput) {
  LengthSums sums;
  sums.add(30, 9);
  const auto flops = metrics::train_flops(tiny_shape(), sums, {});
  EXPECT_EQ(flops.backward, 2 * flops.forward);
  EXPECT_EQ(flops.forward, metrics::forward_flops(tiny_shape(), sums));
}

// T5 v1.1's: heads narrower than the model, three matrices a feed-forward layer, an output table of its own.
TEST(Flops, OfAGatedModelWithNarrowHeadsAreItsProducts) {
  EncoderDecoderShape shape = tiny_shape();
  shape.attention_width = 12;
  shape.feed_forward_matrices = 3;
  const double s = 7, t = 5, d = 16, a = 12;
  LengthSums sums;
  sums.add(7, 5);
  const double encoder = 2 * s * 4 * d * a + 4 * s * s * a + 2 * s * 3 * d * 40;
  const double decoder =
      2 * t * 4 * d * a + 4 * (t * (t + 1) / 2) * a + 2 * (2 * t + 2 * s) * d * a + 4 * s * t * a + 2 * t * 3 * d * 24;
  const double output = 2 * t * d * 64;
  EXPECT_EQ(metrics::forward_flops(shape, sums), 3 * encoder + 2 * decoder + output);
  TrainableParts parts;
  parts.output_table = false;
  const auto all = metrics::train_flops(shape, sums, {}), without = metrics::train_flops(shape, sums, parts);
  EXPECT_EQ(all.backward - without.backward, output);
}

TEST(Flops, AnEncoderThatDoesNotRunCostsNothingButTheCrossAttentionsProducts) {
  LengthSums sums;
  sums.add(30, 9);
  sums.add(11, 4);
  TrainableParts frozen = parts_without({"encoder.0", "encoder.1", "encoder.2", "embeddings"});
  const auto runs = metrics::train_flops(tiny_shape(), sums, frozen);
  frozen.encoder_runs = false;
  const auto read = metrics::train_flops(tiny_shape(), sums, frozen);
  const double encoder = metrics::encoder_flops(tiny_shape(), sums.source_tokens, sums.source_pairs);
  const double tokens = 41, pairs = 30 * 30 + 11 * 11;
  EXPECT_EQ(encoder, 3 * (2 * tokens * 4 * 16 * 16 + 4 * pairs * 16 + 2 * tokens * 2 * 16 * 40));
  EXPECT_EQ(runs.forward - read.forward, encoder);
  EXPECT_EQ(runs.backward, read.backward);
}

TEST(Flops, SumsOfBatchesAddUp) {
  LengthSums one;
  one.add(5, 3);
  LengthSums other;
  other.add(11, 4);
  LengthSums both;
  both.add(5, 3);
  both.add(11, 4);
  one += other;
  EXPECT_EQ(metrics::forward_flops(tiny_shape(), one), metrics::forward_flops(tiny_shape(), both));
}

TEST(Flops, GreedyGenerationCostsTheForwardPassOfWhatItWrote) {
  // One beam, t rows: rows attend to 1, 2, ..., t own positions and to all s source positions.
  const int64_t s = 13;
  const int64_t t = 6;
  metrics::GenerationSums run;
  run.source_tokens = s;
  run.source_pairs = static_cast<double>(s * s);
  run.decoder_rows = t;
  run.self_positions = static_cast<double>(t * (t + 1) / 2);
  run.cross_positions = static_cast<double>(s * t);
  LengthSums sums;
  sums.add(s, t);
  EXPECT_EQ(metrics::generation_flops(tiny_shape(), run), metrics::forward_flops(tiny_shape(), sums));
}

TEST(Flops, RefusesFlagsOfAnotherModel) {
  EXPECT_THROW(metrics::train_flops(tiny_shape(), {}, {true, true, {true}, {}}), core::InternalError);
}

}  // namespace
}  // namespace txtsum::tests
