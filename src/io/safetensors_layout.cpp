#include "txtsum/io/safetensors_layout.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <numeric>
#include <set>
#include <utility>

#include "dtype.h"
#include "txtsum/core/check.h"
#include "txtsum/core/error.h"
#include "txtsum/core/json.h"

namespace txtsum::io {
namespace {

/// Numbers of declarations.
using Numbers = std::vector<size_t>;

const Dtype& dtype_of(const TensorDeclaration& tensor) {
  const Dtype* dtype = find_dtype(tensor.type);
  if (dtype == nullptr) {
    throw core::DataError("tensor '" + tensor.name + "': type " + at::toString(tensor.type) +
                          " cannot be stored in safetensors");
  }
  return *dtype;
}

int64_t numel_of(const TensorDeclaration& tensor) {
  return std::accumulate(tensor.shape.begin(), tensor.shape.end(), int64_t{1}, std::multiplies<>());
}

uint64_t bytes_of(const TensorDeclaration& tensor) {
  return static_cast<uint64_t>(numel_of(tensor)) * static_cast<uint64_t>(dtype_of(tensor).bits / 8);
}

Numbers all_of(const std::vector<TensorDeclaration>& tensors) {
  Numbers all(tensors.size());
  std::iota(all.begin(), all.end(), size_t{0});
  return all;
}

void sort_as_in_files(Numbers& numbers, const std::vector<TensorDeclaration>& tensors) {
  std::set<std::string> names;
  for (const size_t number : numbers) {
    const std::string& name = tensors[number].name;
    TXTSUM_CHECK(name != "__metadata__" && names.insert(name).second, "tensor name ", name);
  }
  std::sort(numbers.begin(), numbers.end(), [&](size_t a, size_t b) {
    const int rank_a = dtype_of(tensors[a]).rank, rank_b = dtype_of(tensors[b]).rank;
    return rank_a != rank_b ? rank_a > rank_b : tensors[a].name < tensors[b].name;
  });
}

FileLayout lay_out(std::string name, Numbers numbers, const std::vector<TensorDeclaration>& tensors,
                   const SafetensorsMetadata& metadata) {
  sort_as_in_files(numbers, tensors);
  FileLayout layout;
  layout.name = std::move(name);
  core::Json header = core::Json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  uint64_t begin = 0;
  for (const size_t number : numbers) {
    const TensorDeclaration& tensor = tensors[number];
    const uint64_t end = begin + bytes_of(tensor);
    header[tensor.name] = {
        {"dtype", dtype_of(tensor).name}, {"shape", tensor.shape}, {"data_offsets", core::Json::array({begin, end})}};
    layout.places.push_back({number, begin});
    begin = end;
  }
  std::string text = header.dump();
  text.append((8 - text.size() % 8) % 8, ' ');
  for (int shift = 0; shift < 64; shift += 8) {
    layout.header += static_cast<char>(static_cast<unsigned char>(static_cast<uint64_t>(text.size()) >> shift & 0xff));
  }
  layout.header += text;
  for (FileLayout::Place& place : layout.places) place.begin += layout.header.size();
  layout.bytes = layout.header.size() + begin;
  return layout;
}

std::vector<Numbers> split_into_shards(const std::vector<TensorDeclaration>& tensors, uint64_t limit) {
  std::vector<Numbers> shards;
  Numbers current;
  uint64_t current_bytes = 0;
  for (size_t number = 0; number < tensors.size(); ++number) {
    const uint64_t bytes = bytes_of(tensors[number]);
    if (bytes > limit) {  // The open shard goes on being filled after it, as in huggingface_hub.
      shards.push_back({number});
      continue;
    }
    if (current_bytes + bytes > limit) {
      shards.push_back(std::exchange(current, {}));
      current_bytes = 0;
    }
    current.push_back(number);
    current_bytes += bytes;
  }
  if (!current.empty() || shards.empty()) shards.push_back(std::move(current));
  return shards;
}

std::string numbered_name(size_t number, size_t count) {
  char name[64];
  std::snprintf(name, sizeof name, "model-%05zu-of-%05zu.safetensors", number, count);
  return name;
}

}  // namespace

FileLayout lay_out_file(std::string name, const std::vector<TensorDeclaration>& tensors,
                        const SafetensorsMetadata& metadata) {
  return lay_out(std::move(name), all_of(tensors), tensors, metadata);
}

ModelLayout lay_out_model(const std::vector<TensorDeclaration>& tensors, int64_t max_shard_bytes) {
  TXTSUM_CHECK(max_shard_bytes > 0, "max_shard_bytes ", max_shard_bytes);
  const std::vector<Numbers> shards = split_into_shards(tensors, static_cast<uint64_t>(max_shard_bytes));
  if (shards.size() == 1) return {{lay_out("model.safetensors", shards[0], tensors, pytorch_metadata())}, ""};
  ModelLayout layout;
  std::map<std::string, std::string> file_of;  // sorted, as in transformers' index
  int64_t parameters = 0;
  uint64_t bytes = 0;
  for (const Numbers& shard : shards) {
    const std::string name = numbered_name(layout.files.size() + 1, shards.size());
    layout.files.push_back(lay_out(name, shard, tensors, pytorch_metadata()));
    for (const size_t number : shard) {
      file_of[tensors[number].name] = name;
      if (tensors[number].is_parameter) parameters += numel_of(tensors[number]);
      bytes += bytes_of(tensors[number]);
    }
  }
  core::Json index;
  index["metadata"] = {{"total_parameters", parameters}, {"total_size", bytes}};
  index["weight_map"] = file_of;
  layout.index = core::to_pretty_text(index);
  return layout;
}

}  // namespace txtsum::io
