#include "batch_slot.h"

#include <ATen/ATen.h>

#include <cstring>

#include "txtsum/ops/byte_parts.h"
#include "txtsum/ops/dropout_key.h"

namespace txtsum::train {
namespace {

void take_side(ops::ByteParts& parts, ops::RaggedTokens& tokens, int64_t count, int64_t slots) {
  for (at::Tensor* tensor : {&tokens.ids_N, &tokens.positions_N, &tokens.examples_N}) {
    *tensor = parts.take(count, at::kLong);
  }
  tokens.offsets_B1 = parts.take(slots + 1, at::kInt);
}

void copy_side(ops::ByteParts& parts, const ops::RaggedTokens& tokens) {
  for (const at::Tensor& tensor : {tokens.ids_N, tokens.positions_N, tokens.examples_N, tokens.offsets_B1}) {
    at::Tensor part = parts.take(tensor.numel(), tensor.scalar_type());
    std::memcpy(part.mutable_data_ptr(), tensor.const_data_ptr(), tensor.nbytes());
  }
}

/// Bytes that a batch of this shape and what dropout is drawn from take.
int64_t bytes_of(const Bucket& bucket) {
  ops::ByteParts parts;
  MicroBatch measured;
  take_side(parts, measured.source, bucket.source_tokens, bucket.slots);
  take_side(parts, measured.labels, bucket.target_tokens, bucket.slots);
  parts.take(2, at::kInt);
  return parts.size();
}

/// Offsets of as many sequences, before the slot is filled.
std::vector<int64_t> outline(int64_t tokens, int64_t slots) {
  std::vector<int64_t> offsets(static_cast<size_t>(slots) + 1, tokens);
  offsets.front() = 0;
  return offsets;
}

}  // namespace

BatchSlot::BatchSlot(const Bucket& bucket, const at::Device& device, const at::Tensor& encoded_room)
    : bytes_(at::empty({bytes_of(bucket)}, at::TensorOptions().dtype(at::kByte).device(device))) {
  ops::ByteParts parts(bytes_);
  take_side(parts, batch_.source, bucket.source_tokens, bucket.slots);
  take_side(parts, batch_.labels, bucket.target_tokens, bucket.slots);
  words_2_ = parts.take(2, at::kInt);
  batch_.source.offsets = outline(bucket.source_tokens, bucket.slots);
  batch_.labels.offsets = outline(bucket.target_tokens, bucket.slots);
  batch_.source.longest = bucket.longest_source;
  batch_.labels.longest = bucket.longest_target;
  batch_.source.recurs = batch_.labels.recurs = true;
  if (encoded_room.defined()) batch_.encoded_ND = encoded_room.narrow(0, 0, bucket.source_tokens);
}

void BatchSlot::fill(const MicroBatch& padded, uint64_t seed, int64_t update, ops::DeviceCopies& copies) {
  const at::Tensor staging =
      at::empty(bytes_.sizes(), at::TensorOptions().dtype(at::kByte).pinned_memory(bytes_.is_cuda()));
  ops::ByteParts parts(staging);
  copy_side(parts, padded.source);
  copy_side(parts, padded.labels);
  batch_.source.offsets = padded.source.offsets;
  batch_.labels.offsets = padded.labels.offsets;
  const auto words = ops::dropout_words(seed, update);
  std::memcpy(parts.take(2, at::kInt).mutable_data_ptr(), words.data(), sizeof(words));
  bytes_.copy_(copies.upload(staging), /*non_blocking=*/true);
  if (!batch_.encoded_ND.defined()) return;
  const int64_t rows = padded.encoded_ND.size(0), all_rows = batch_.encoded_ND.size(0);
  batch_.encoded_ND.narrow(0, 0, rows).copy_(copies.upload(padded.encoded_ND), /*non_blocking=*/true);
  batch_.encoded_ND.narrow(0, rows, all_rows - rows).zero_();
}

}  // namespace txtsum::train
