#pragma once

#include <ATen/ATen.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "txtsum/core/check.h"
#include "txtsum/core/random.h"
#include "txtsum/model/seq2seq_model.h"
#include "txtsum/ops/activation.h"
#include "txtsum/ops/dropout.h"
#include "txtsum/ops/embed.h"
#include "txtsum/ops/linear.h"
#include "txtsum/ops/linear_cross_entropy.h"

namespace txtsum::tests {

/// A model of two lines: h = embed(target) + mean(embed(source)); h = h + down(dropout(tanh(up(h)))); the output table
/// is the input table. `up` is a fused group of two, so that one member can be frozen.
class FakeModel final : public model::Seq2SeqModel {
 public:
  static constexpr int64_t kVocabulary = 20, kWidth = 8, kPositions = 16;

  explicit FakeModel(at::ScalarType dtype = at::kFloat, std::vector<std::string> frozen = {}, double dropout = 0.1)
      : arena_(model::ArenaLayout(specs(frozen)), dtype), dropout_(dropout) {
    facts_.family = "fake";
    facts_.vocabulary = kVocabulary;
    facts_.width = kWidth;
    uint64_t stream = 0;
    for (const model::ArenaEntry& entry : arena_.layout().entries()) {
      core::RandomStream random(11, stream++);
      std::vector<float> draws(static_cast<size_t>(entry.numel));
      for (float& draw : draws) draw = static_cast<float>(0.3 * random.next_normal());
      arena_.entry_values(entry).copy_(at::tensor(draws).view(entry.shape));
    }
  }

  const model::ModelFacts& facts() const override { return facts_; }
  model::Arena& arena() override { return arena_; }
  const model::Arena& arena() const override { return arena_; }

  std::vector<std::string> encoder_parameters() const override { return {"table", "positions"}; }

  at::Tensor encode(const ops::RaggedTokens& source, const model::ForwardContext&) const override {
    ++encode_calls;
    return ops::embed(source, {arena_.ref("table"), arena_.ref("positions")}, {});
  }

  at::Tensor decode(const ops::RaggedTokens& target, const at::Tensor& encoded_ND, const ops::RaggedTokens& source,
                    const model::ForwardContext& context) const override {
    std::vector<at::Tensor> rows;
    for (int64_t b = 0; b < target.sequences(); ++b) {
      const size_t at = static_cast<size_t>(b);
      const at::Tensor mean = encoded_ND.slice(0, source.offsets[at], source.offsets[at + 1]).mean(0, /*keepdim=*/true);
      rows.push_back(mean.expand({target.offsets[at + 1] - target.offsets[at], kWidth}));
    }
    const at::Tensor embedded = ops::embed(target, {arena_.ref("table"), arena_.ref("positions")}, {});
    ops::DropoutKey key;
    key.probability = context.training ? dropout_ : 0.0;
    key.seed = context.seed;
    key.update = context.update;
    key.words_2 = context.dropout_words_2;
    key.examples_N = target.examples_N;
    key.positions_N = target.positions_N;
    const int64_t turn = leaves_out && context.training ? context.update % 3 : 0;
    const auto body = [this, key, turn](const std::vector<at::Tensor>& inputs) {
      ++body_calls;
      if (in_body) in_body(body_calls);
      const at::Tensor hidden = inputs[0] + inputs[1];
      if (turn == 1) return ops::linear(at::cat({hidden, hidden}, 1), arena_.ref("down"), arena_.ref("bias"));
      const at::Tensor up = ops::linear(hidden, arena_.ref("up"), {});
      return hidden +
             ops::linear(ops::activation(up, {}, ops::Activation::kTanh, key), arena_.ref("down"), arena_.ref("bias"));
    };
    const std::vector<at::Tensor> inputs{embedded, at::cat(rows)};
    if (turn == 2) return inputs[0] + inputs[1];
    return context.scope != nullptr ? context.scope->run(1, inputs, body) : body(inputs);
  }

  at::Tensor logits(const at::Tensor& decoded_MD) const override {
    return at::matmul(decoded_MD, arena_.ref("table").value().t()).to(at::kFloat);
  }

  model::LossSum loss(const ops::RaggedTokens& source, const ops::RaggedTokens& labels, double label_smoothing,
                      const model::ForwardContext& context) const override {
    const ops::RaggedTokens target = model::shift_right(labels, 0);
    const at::Tensor encoded = context.encoded_ND.defined() ? context.encoded_ND : encode(source, context);
    const at::Tensor decoded = decode(target, encoded, source, context);
    const ops::CrossEntropySums sums = ops::linear_cross_entropy(decoded, arena_.ref("table"), {}, labels.ids_N,
                                                                 {kVocabulary, label_smoothing, context.loss_factor_1});
    return {sums.loss, sums.nll, labels.tokens()};
  }

  std::unique_ptr<model::DecodingSession> start_decoding(const model::DecodingCapacity&) const override {
    TXTSUM_CHECK(false, "no test decodes with it");
    return nullptr;
  }

  std::unique_ptr<model::DeviceDecodingSession> start_device_decoding(const model::DecodingCapacity&,
                                                                      const ops::DecodingRows&) const override {
    TXTSUM_CHECK(false, "no test decodes with it");
    return nullptr;
  }

  std::vector<std::pair<std::string, at::Tensor>> buffers() const override { return {}; }

  mutable int64_t body_calls = 0, encode_calls = 0;
  bool leaves_out = false;  ///< Of three updates, one does without `up`, and one without the whole block.
  std::function<void(int64_t call)> in_body;  ///< Where it is set, called in the middle of a pass.

 private:
  static std::vector<model::ParameterSpec> specs(const std::vector<std::string>& frozen) {
    const int64_t D = kWidth;
    std::vector<model::ParameterSpec> specs{{"table", {kVocabulary, D}, 0, true, "", true, false},
                                            {"positions", {kPositions, D}, 0, true, "", false, false},
                                            {"up.first", {D, D}, 1, true, "up", false, false},
                                            {"up.second", {D, D}, 1, true, "up", false, false},
                                            {"down", {D, 2 * D}, 1, true, "", false, false},
                                            {"bias", {D}, 1, false, "", false, false}};
    for (model::ParameterSpec& spec : specs) {
      spec.frozen = std::find(frozen.begin(), frozen.end(), spec.name) != frozen.end();
    }
    return specs;
  }

  model::ModelFacts facts_;
  model::Arena arena_;
  double dropout_;
};

}  // namespace txtsum::tests
