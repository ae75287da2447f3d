#include "txtsum/model/model_folder.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <optional>

#include "named_weights.h"
#include "transformer_model.h"
#include "txtsum/core/error.h"
#include "txtsum/core/random.h"
#include "txtsum/core/stop_signal.h"
#include "txtsum/model/freezing.h"
#include "txtsum/model/model_outline.h"
#include "txtsum/ops/band_attention.h"
#include "txtsum/ops/block_sparse_attention.h"
#include "txtsum/ops/varlen_attention.h"

namespace txtsum::model {
namespace {

constexpr const char* kGlobalTokensKey = "txtsum_global_tokens";
constexpr const char* kFirstToken = "first";
constexpr const char* kRandomBlocksKey = "txtsum_random_blocks";
constexpr const char* kTransformersBlocks = "transformers";

/// Called before each weight: gigabytes from a slow mount take minutes.
void require_not_stopped() {
  if (const int signal = core::stop_signal()) throw core::StoppedBySignal("stopped while weights were loaded", signal);
}

/// Each parameter draws from a stream of its own, so the weights do not depend on the threads.
void draw_random_weights(Arena& arena, const std::vector<ParameterSpec>& specs, const TransformerArchitecture& a,
                         uint64_t seed) {
  at::parallel_for(0, static_cast<int64_t>(specs.size()), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      require_not_stopped();
      const ParameterSpec& spec = specs[static_cast<size_t>(i)];
      const ArenaEntry& entry = *arena.layout().find(spec.name);
      const at::Tensor values = arena.entry_values(entry);
      if (spec.init_std == 0.0) {
        values.fill_(spec.init_mean);
        continue;
      }
      const at::Tensor draws = at::empty({entry.numel}, at::kFloat);
      float* out = draws.mutable_data_ptr<float>();
      core::RandomStream random(seed, static_cast<uint64_t>(entry.offset));
      for (int64_t j = 0; j < entry.numel; ++j)
        out[j] = static_cast<float>(spec.init_mean + spec.init_std * random.next_normal());
      values.copy_(draws.view(entry.shape));
      const bool has_padding = a.still_padding && spec.name == table_name(a) + ".weight";
      if (has_padding && a.facts.pad_id < entry.shape[0]) values.select(0, a.facts.pad_id).zero_();
    }
  });
}

/// A fixed table of positions: sines of falling frequencies in the first half of a row, cosines in the second (Vaswani
/// et al. 2017, laid out as transformers' Pegasus has it).
at::Tensor sinusoidal_positions(int64_t positions, int64_t width) {
  const at::TensorOptions options = at::TensorOptions().dtype(at::kDouble);
  const at::Tensor exponents_F = at::arange(0, width, 2, options) / static_cast<double>(width);
  const at::Tensor angles_PF = at::outer(at::arange(positions, options), at::pow(10000.0, -exponents_F));
  return at::cat({angles_PF.sin(), angles_PF.cos().narrow(1, 0, width / 2)}, 1).to(at::kFloat);
}

bool is_position_table(const ArenaEntry& entry) { return entry.name.ends_with("embed_positions.weight"); }

/// Puts the choices of attention that the request makes into the architecture, and into the config that is saved.
void choose_attention(const LoadRequest& request, core::Json& config, TransformerArchitecture& architecture) {
  const std::string path = request.folder + "/config.json";
  ModelFacts& facts = architecture.facts;
  if (request.global_tokens) {
    if (facts.windows.empty()) {
      throw core::UserError("model.global_tokens: family " + facts.family + " has no windowed attention");
    }
    architecture.global_tokens = *request.global_tokens;
    core::Json chosen = core::Json::array();
    if (request.global_tokens->first) chosen.push_back(kFirstToken);
    for (const int64_t id : request.global_tokens->ids) chosen.push_back(id);
    config[kGlobalTokensKey] = chosen;
  }
  if (request.random_blocks && !facts.block_sparse()) {
    throw core::UserError("model.random_blocks: this model of family " + facts.family +
                          " has no block-sparse attention");
  }
  if (facts.block_sparse()) {
    const std::optional<RandomBlockChoice> named =
        request.random_blocks ? request.random_blocks : RandomBlockChoice::of(config, path);
    facts.blocks.seed = named.value_or(request.usual_random_blocks).seed;
    config[kRandomBlocksKey] = facts.blocks.seed ? core::Json(*facts.blocks.seed) : core::Json(kTransformersBlocks);
  }
  if ((!facts.windows.empty() || facts.block_sparse()) && architecture.attention_dropout > 0.0) {
    throw core::DataError(path + ": key 'attention_dropout': dropping attention probabilities is not there for " +
                          (facts.block_sparse() ? "block-sparse" : "windowed") +
                          " attention; set model.attention_dropout=0");
  }
}

/// Puts what the request replaces of config.json into the architecture, and into the config that is saved.
void apply_request(const LoadRequest& request, core::Json& config, TransformerArchitecture& architecture) {
  if (request.dropout) {
    architecture.dropout = *request.dropout;
    if (architecture.one_dropout) architecture.attention_dropout = architecture.activation_dropout = *request.dropout;
  }
  if (request.attention_dropout) architecture.attention_dropout = *request.attention_dropout;
  if (request.activation_dropout) architecture.activation_dropout = *request.activation_dropout;
  architecture.encoder_dropout = request.encoder_dropout;
  choose_attention(request, config, architecture);
  ModelFacts& facts = architecture.facts;
  facts.drops_layers =
      (architecture.encoder_layerdrop > 0.0 && architecture.encoder_dropout) || architecture.decoder_layerdrop > 0.0;
  facts.encoder_drops =
      architecture.encoder_dropout && (architecture.dropout > 0.0 || architecture.attention_dropout > 0.0 ||
                                       architecture.activation_dropout > 0.0 || architecture.encoder_layerdrop > 0.0);
  facts.drops_probabilities = architecture.attention_dropout > 0.0;
  facts.asks_host =
      (!facts.windows.empty() &&
       (!architecture.global_tokens.ids.empty() || !ops::band_attention_is_fused(request.dtype))) ||
      (facts.block_sparse() &&
       !ops::block_sparse_attention_is_fused(request.dtype, facts.head_width, facts.blocks.block)) ||
      (facts.relative_bias && !ops::attention_is_fused(request.dtype, facts.drops_probabilities, facts.head_width));
  if (architecture.overflows_fp16 && request.dtype == at::kHalf) {
    throw core::UserError("train.precision=fp16: activations of family " + facts.family + " leave fp16's range (" +
                          request.folder + "). Set train.precision=bf16, or fp32 where the GPU has no bf16");
  }
}

/// Positions of which nothing was learned: files may leave them out.
bool may_be_missing(const TransformerArchitecture& architecture, const ArenaEntry& entry) {
  return architecture.sinusoidal && is_position_table(entry);
}

[[noreturn]] void fail_missing(const NamedWeights& weights, const ArenaEntry& entry) {
  throw core::DataError(weights.folder() + ": weight " + entry.name + " is missing");
}

constexpr const char* kOutputBias = "final_logits_bias";

/// Refuses what read_weights would refuse, by the headers alone.
void check_headers(NamedWeights& weights, const TransformerArchitecture& architecture, const ArenaLayout& layout) {
  for (const ArenaEntry& entry : layout.entries()) {
    if (!weights.claim(entry.name, entry.shape) && !may_be_missing(architecture, entry)) fail_missing(weights, entry);
  }
  if (architecture.output_bias) weights.claim(kOutputBias, {1, architecture.facts.vocabulary});
  weights.check_nothing_left();
}

/// Fills the arena from the folder's files; returns each entry as its file has it. Fills `bias_V`, where there is one.
std::vector<at::Tensor> read_weights(NamedWeights& weights, const TransformerArchitecture& architecture,
                                     const Arena& arena, const at::Tensor& bias_V) {
  std::vector<at::Tensor> sources;
  for (const ArenaEntry& entry : arena.layout().entries()) {
    require_not_stopped();
    at::Tensor tensor = weights.take(entry.name, entry.shape);
    if (!tensor.defined() && may_be_missing(architecture, entry)) {
      tensor = sinusoidal_positions(entry.shape[0], entry.shape[1]);
    }
    if (!tensor.defined()) fail_missing(weights, entry);
    arena.entry_values(entry).copy_(tensor);
    sources.push_back(tensor);
  }
  if (architecture.output_bias) {
    const at::Tensor bias = weights.take(kOutputBias, {1, architecture.facts.vocabulary});
    if (bias.defined()) bias_V.copy_(bias.view(-1));
  }
  weights.check_nothing_left();
  return sources;
}

/// What config.json and the headers of the weights say.
struct Described {
  core::Json config;
  TransformerArchitecture architecture;
  std::optional<NamedWeights> weights;  ///< None where they are drawn.
  std::vector<ParameterSpec> specs;
};

LoadedModel load_transformer(const LoadRequest& request, Described described) {
  TransformerArchitecture& architecture = described.architecture;
  std::optional<NamedWeights>& weights = described.weights;
  const std::vector<ParameterSpec>& specs = described.specs;
  ArenaLayout layout(specs);
  if (weights) check_headers(*weights, architecture, layout);  // before memory is taken for what config.json says
  auto arena = std::make_unique<Arena>(std::move(layout), request.dtype);
  at::Tensor bias_V = at::zeros({architecture.facts.vocabulary}, at::kFloat);
  LoadedModel loaded;
  loaded.config = std::move(described.config);
  loaded.class_name = architecture.class_name;
  if (weights) {
    loaded.sources = read_weights(*weights, architecture, *arena, bias_V);
  } else {
    draw_random_weights(*arena, specs, architecture, request.seed);
    for (const ArenaEntry& entry : arena->layout().entries()) {
      if (architecture.sinusoidal && is_position_table(entry))
        arena->entry_values(entry).copy_(sinusoidal_positions(entry.shape[0], entry.shape[1]));
    }
  }
  arena->move_to(request.device);
  bias_V = bias_V.to(request.device);
  loaded.model = std::make_unique<TransformerModel>(std::move(architecture), std::move(arena), std::move(bias_V));
  return loaded;
}

/// One family: config.json's model_type and how its numbers are read.
struct Family {
  const char* model_type;
  TransformerArchitecture (*read)(const core::Json& config, const std::string& path);
};

constexpr Family kFamilies[] = {
    {"bart", read_bart},       {"bigbird_pegasus", read_bigbird_pegasus},
    {"led", read_led},         {"mbart", read_mbart},
    {"pegasus", read_pegasus}, {"t5", read_t5},
};

Described describe(const LoadRequest& request) {
  const std::string path = request.folder + "/config.json";
  Described described;
  described.config = core::read_json_file(path);
  const auto type = described.config.find("model_type");
  if (type == described.config.end() || !type->is_string()) {
    throw core::DataError(path + ": key 'model_type' is missing");
  }
  const auto family = std::find_if(std::begin(kFamilies), std::end(kFamilies),
                                   [&](const Family& each) { return type->get<std::string>() == each.model_type; });
  if (family == std::end(kFamilies)) {
    std::string known;
    for (const std::string& name : known_families()) known += (known.empty() ? "" : ", ") + name;
    throw core::DataError(path + ": model_type '" + type->get<std::string>() +
                          "' is not one that this version knows: " + known);
  }
  described.architecture = family->read(described.config, path);
  const ModelFacts& facts = described.architecture.facts;
  if (facts.decoder_start_id < 0 || facts.decoder_start_id >= facts.vocabulary) {
    throw core::DataError(path + ": key 'decoder_start_token_id': wanted an id below vocab_size " +
                          std::to_string(facts.vocabulary) + ", found " + std::to_string(facts.decoder_start_id));
  }
  apply_request(request, described.config, described.architecture);
  if (!request.random_weights) {
    described.weights.emplace(request.folder, described.architecture);
    // As in transformers 5, whose config.json no longer says it.
    if (described.architecture.may_untie_head) {
      described.architecture.tied_head = !described.weights->has_other_head();
    }
  }
  described.specs = transformer_parameters(described.architecture);
  freeze(described.specs, request.freeze);
  return described;
}

const char* dtype_name(at::ScalarType dtype) {
  return dtype == at::kBFloat16 ? "bfloat16" : dtype == at::kHalf ? "float16" : "float32";
}

}  // namespace

GlobalTokenChoice GlobalTokenChoice::of(const core::Json& config, const std::string& path) {
  GlobalTokenChoice choice;
  const auto found = config.find(kGlobalTokensKey);
  if (found == config.end()) return choice;
  choice.first = false;
  for (const core::Json& entry : found->is_array() ? *found : core::Json::array({nullptr})) {
    if (entry.is_string() && entry.get<std::string>() == kFirstToken) {
      choice.first = true;
    } else if (entry.is_number_integer()) {
      choice.ids.push_back(entry.get<int64_t>());
    } else {
      throw core::DataError(path + ": key '" + kGlobalTokensKey +
                            "': wanted a list of \"first\" and token ids, found " + core::to_line(*found));
    }
  }
  return choice;
}

std::optional<RandomBlockChoice> RandomBlockChoice::of(const core::Json& config, const std::string& path) {
  const auto found = config.find(kRandomBlocksKey);
  if (found == config.end()) return std::nullopt;
  if (found->is_number_integer()) return RandomBlockChoice{found->get<uint64_t>()};
  if (found->is_string() && found->get<std::string>() == kTransformersBlocks) return RandomBlockChoice{};
  throw core::DataError(path + ": key '" + kRandomBlocksKey + "': wanted \"" + kTransformersBlocks +
                        "\" or a seed, found " + core::to_line(*found));
}

std::vector<std::string> known_families() {
  std::vector<std::string> names;
  for (const Family& family : kFamilies) names.push_back(family.model_type);
  return names;
}

LoadedModel load_model(const LoadRequest& request) { return load_transformer(request, describe(request)); }

ModelOutline outline_model(const LoadRequest& request) {
  Described described = describe(request);
  const TransformerArchitecture& a = described.architecture;
  ModelOutline outline{a.facts,
                       {a.pre_norm, a.embedding_norm, a.final_norm, a.encoder_heads, a.decoder_heads},
                       ArenaLayout(described.specs)};
  if (described.weights) check_headers(*described.weights, a, outline.layout);
  return outline;
}

at::Tensor initial_masters(const LoadedModel& loaded) {
  const Arena& arena = loaded.model->arena();
  if (arena.dtype() == at::kFloat || loaded.sources.empty()) return {};
  at::Tensor masters = at::zeros({arena.layout().trainable_numel()}, at::kFloat);
  for (const ArenaEntry& entry : arena.layout().entries()) {
    if (entry.in_trainable_range) Arena::entry_of(masters, entry).copy_(source_of(loaded, entry));
  }
  return masters;
}

at::Tensor source_of(const LoadedModel& loaded, const ArenaEntry& entry) {
  if (loaded.sources.empty()) return {};
  const ArenaEntry* first = loaded.model->arena().layout().entries().data();
  return loaded.sources[static_cast<size_t>(loaded.model->arena().layout().find(entry.name) - first)];
}

core::Json config_to_save(const LoadedModel& loaded, at::ScalarType dtype) {
  core::Json config = loaded.config;
  config["dtype"] = dtype_name(dtype);
  if (config.contains("torch_dtype")) config["torch_dtype"] = dtype_name(dtype);
  config["architectures"] = {loaded.class_name};
  return config;
}

}  // namespace txtsum::model
