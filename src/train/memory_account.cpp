#include "memory_account.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstdio>
#include <vector>

#include "txtsum/ops/linear_cross_entropy.h"

namespace txtsum::train {
namespace {

std::string gib(int64_t bytes) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.2f GiB", static_cast<double>(bytes) / (1024.0 * 1024.0 * 1024.0));
  return text;
}

int64_t bytes_of(const at::Tensor& tensor) { return tensor.defined() ? static_cast<int64_t>(tensor.nbytes()) : 0; }

/// Moments, with the room between parameters where there is some.
std::vector<at::Tensor> moments_of(Optimizer& optimizer) {
  std::vector<at::Tensor> moments;
  for (const auto& [kind, moment] : optimizer.moments()) moments.push_back(moment);
  if (!moments.empty()) return moments;
  for (const StatePart& part : optimizer.state()) moments.push_back(part.values);
  return moments;
}

std::string advice(const MemoryAccount& account, const MemoryRequest& request) {
  const int64_t activations = std::max<int64_t>(account.activations(), 0);
  const bool known = account.device.has_value();
  const auto less = [&](int64_t bytes) { return known ? ": about " + gib(bytes) + " less" : std::string(); };
  std::string text = "\nWhat lowers the peak:\n  train.micro_batch_tokens=" +
                     std::to_string(std::max<int64_t>(1, request.micro_batch_tokens / 2)) +
                     " (the same updates in smaller pieces)" + less(activations / 2);
  if (!request.recomputes) {
    // What stays is each block's input, and one block at a time.
    const int64_t inputs = request.layers * request.micro_batch_tokens * request.width * request.element_bytes;
    text += "\n  train.recompute=blocks (about a third more work)" +
            less(std::max<int64_t>(activations - inputs - activations / std::max<int64_t>(1, request.layers), 0));
  }
  if (request.offloadable > 0) {
    text += "\n  parallel.offload=optimizer (masters and moments in host memory, updates by the CPU)" +
            less(request.offloadable);
  }
  if (!request.narrow) text += "\n  train.precision=bf16" + less(activations / 2);
  return text + "\n  model.freeze: " + gib(account.gradients + account.masters + account.moments) +
         " of states belong to what is trained";
}

}  // namespace

MemoryAccount account_of(const UpdateParts& parts) {
  const model::Arena& arena = parts.model.arena();
  MemoryAccount account;
  account.weights = parts.sharding.value_bytes();
  account.gradients = parts.sharding.gradient_bytes();
  const auto add = [&](int64_t& sum, const at::Tensor& state) {
    (state.device() == arena.device() ? sum : account.offloaded) += bytes_of(state);
  };
  const at::Tensor &masters = parts.optimizer.masters(), &working = parts.sharding.space().working;
  account.offloaded = parts.sharding.offloaded_value_bytes();
  if (masters.const_data_ptr() != working.const_data_ptr()) add(account.masters, masters);
  for (const at::Tensor& moment : moments_of(parts.optimizer)) add(account.moments, moment);
  account.logits = ops::logits_chunk_bytes(arena.device());
  if (arena.device().is_cuda()) account.device = ops::device_memory();
  return account;
}

RankWork rank_work_of(const UpdateParts& parts) {
  const model::ArenaLayout& layout = parts.model.arena().layout();
  const MemoryAccount account = account_of(parts);
  const parallel::Communicator& ranks = parts.sharding.communicator();
  RankWork work;
  work.world = ranks.world();
  work.zero_stage = parts.sharding.stage();
  for (int64_t block = 0; block < layout.block_count(); ++block) {
    work.block_elements.push_back(layout.block_range(block, /*trainable=*/true).numel());
  }
  work.frozen_elements = layout.total_numel() - layout.trainable_numel();
  work.weight_bytes = account.weights;
  work.gradient_bytes = account.gradients;
  work.master_bytes = account.masters;
  work.moment_bytes = account.moments;
  work.host_bytes = account.offloaded;
  work.reduce_scatter_elements = ranks.counts().reduce_scatter_elements;
  work.all_gather_elements = ranks.counts().all_gather_elements;
  return work;
}

std::string out_of_memory_text(const MemoryAccount& account, const MemoryRequest& request) {
  std::string text = account.device ? "out of GPU memory" : "out of memory";
  text += " in update " + std::to_string(request.update) + ", in a micro-batch of " +
          std::to_string(request.micro_batch_tokens) + " tokens";
  if (!request.asked.empty()) text += ": asked for " + request.asked + " more";
  if (account.device) {
    text += "; the GPU has " + gib(account.device->total_bytes);
    if (account.device->others_bytes > 0) {
      text += ", of which " + gib(account.device->others_bytes) + " are not this run's tensors";
    }
  }
  text += "\nstates " + gib(account.states()) + " (weights " + gib(account.weights) + ", gradients " +
          gib(account.gradients) + ", fp32 masters " + gib(account.masters) + ", moments " + gib(account.moments) + ")";
  if (account.offloaded > 0) text += ", " + gib(account.offloaded) + " in host memory";
  if (account.device) {
    text += "\nactivations " + gib(account.activations()) + " until then, logits of at most " + gib(account.logits) +
            " among them";
  }
  return text + advice(account, request);
}

std::string out_of_memory_text(const UpdateParts& parts, const GlobalBatch& batch, int64_t update,
                               const std::string& asked) {
  const model::ModelFacts& facts = parts.model.facts();
  MemoryRequest request;
  request.asked = asked;
  request.update = update;
  for (const MicroBatch& micro : batch.micro_batches) {
    request.micro_batch_tokens = std::max(request.micro_batch_tokens, micro.source.tokens() + micro.labels.tokens());
  }
  request.layers = facts.encoder_layers + facts.decoder_layers;
  request.width = facts.width;
  request.element_bytes = static_cast<int64_t>(c10::elementSize(parts.model.arena().dtype()));
  request.recomputes = parts.config.recompute == config::Recompute::kBlocks;
  request.narrow = parts.model.arena().dtype() != at::kFloat;
  const MemoryAccount account = account_of(parts);
  // Adafactor's state stays.
  const bool moves = account.device && !parts.optimizer.moments().empty();
  if (moves && parts.sharding.space().offload == config::Offload::kNone) {
    request.offloadable = account.masters + account.moments;
  }
  return out_of_memory_text(account, request);
}

}  // namespace txtsum::train
