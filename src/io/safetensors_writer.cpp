#include "txtsum/io/safetensors_writer.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <regex>
#include <set>

#include "dtype.h"
#include "output_file.h"
#include "txtsum/core/check.h"
#include "txtsum/core/error.h"
#include "txtsum/core/json.h"

namespace txtsum::io {
namespace {

at::ScalarType stored_type(const NamedTensor& item) { return item.stored_as.value_or(item.tensor.scalar_type()); }

const Dtype& stored_dtype(const NamedTensor& item) {
  const Dtype* dtype = find_dtype(stored_type(item));
  if (dtype == nullptr) {
    throw core::DataError("tensor '" + item.name + "': type " + at::toString(stored_type(item)) +
                          " cannot be stored in safetensors");
  }
  return *dtype;
}

uint64_t stored_bytes(const NamedTensor& item) {
  return static_cast<uint64_t>(item.tensor.numel()) * static_cast<uint64_t>(stored_dtype(item).bits / 8);
}

std::vector<const NamedTensor*> in_file_order(const std::vector<NamedTensor>& tensors) {
  std::vector<const NamedTensor*> order;
  std::set<std::string> names;
  for (const NamedTensor& item : tensors) {
    TXTSUM_CHECK(item.name != "__metadata__" && names.insert(item.name).second, "tensor name ", item.name);
    TXTSUM_CHECK(item.tensor.defined(), "tensor ", item.name);
    order.push_back(&item);
  }
  std::sort(order.begin(), order.end(), [](const NamedTensor* a, const NamedTensor* b) {
    const int rank_a = stored_dtype(*a).rank;
    const int rank_b = stored_dtype(*b).rank;
    return rank_a != rank_b ? rank_a > rank_b : a->name < b->name;
  });
  return order;
}

std::string make_header(const std::vector<const NamedTensor*>& order, const SafetensorsMetadata& metadata) {
  core::Json header = core::Json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  uint64_t begin = 0;
  for (const NamedTensor* item : order) {
    const uint64_t end = begin + stored_bytes(*item);
    header[item->name] = {{"dtype", stored_dtype(*item).name},
                          {"shape", item->tensor.sizes().vec()},
                          {"data_offsets", core::Json::array({begin, end})}};
    begin = end;
  }
  std::string text = header.dump();
  text.append((8 - text.size() % 8) % 8, ' ');
  std::string prefix;
  for (int shift = 0; shift < 64; shift += 8) {
    prefix += static_cast<char>(static_cast<unsigned char>(static_cast<uint64_t>(text.size()) >> shift & 0xff));
  }
  return prefix + text;
}

bool is_weight_file(const std::string& name) {
  static const std::regex pattern(R"(model(-\d{5}-of-\d{5})?\.safetensors|model\.safetensors\.index\.json)");
  return std::regex_match(name, pattern);
}

void remove_other_weights(const std::string& folder, const std::vector<std::string>& kept) {
  for (const auto& file : std::filesystem::directory_iterator(folder)) {
    const std::string name = file.path().filename().string();
    if (is_weight_file(name) && std::find(kept.begin(), kept.end(), name) == kept.end()) {
      std::filesystem::remove(file.path());
    }
  }
}

std::vector<std::vector<NamedTensor>> split_into_shards(const std::vector<NamedTensor>& tensors, uint64_t limit) {
  std::vector<std::vector<NamedTensor>> shards;
  std::vector<NamedTensor> current;
  uint64_t current_bytes = 0;
  for (const NamedTensor& item : tensors) {
    const uint64_t bytes = stored_bytes(item);
    if (bytes > limit) {  // The open shard goes on being filled after it, as in huggingface_hub.
      shards.push_back({item});
      continue;
    }
    if (current_bytes + bytes > limit) {
      shards.push_back(std::move(current));
      current.clear();
      current_bytes = 0;
    }
    current.push_back(item);
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

void save_safetensors(const std::string& path, const std::vector<NamedTensor>& tensors,
                      const SafetensorsMetadata& metadata, PublishMode mode) {
  const std::vector<const NamedTensor*> order = in_file_order(tensors);
  OutputFile file(path, mode);
  file.write(make_header(order, metadata));
  for (const NamedTensor* item : order) {
    const at::Tensor ready = item->tensor.detach().to(at::kCPU, stored_type(*item)).contiguous();
    file.write({static_cast<const char*>(ready.const_data_ptr()), stored_bytes(*item)});
  }
  file.publish();
}

std::vector<std::string> save_sharded(const std::string& folder, const std::vector<NamedTensor>& tensors,
                                      int64_t max_shard_bytes, PublishMode mode) {
  TXTSUM_CHECK(max_shard_bytes > 0, "max_shard_bytes ", max_shard_bytes);
  const auto shards = split_into_shards(tensors, static_cast<uint64_t>(max_shard_bytes));
  std::vector<std::string> written;
  if (shards.size() == 1) {
    written.push_back("model.safetensors");
    save_safetensors(folder + "/" + written.back(), shards[0], pytorch_metadata(), mode);
    remove_other_weights(folder, written);
    return written;
  }
  std::map<std::string, std::string> file_of;  // sorted, as in transformers' index
  int64_t parameters = 0;
  uint64_t bytes = 0;
  for (size_t i = 0; i < shards.size(); ++i) {
    written.push_back(numbered_name(i + 1, shards.size()));
    save_safetensors(folder + "/" + written.back(), shards[i], pytorch_metadata(), mode);
    for (const NamedTensor& item : shards[i]) {
      file_of[item.name] = written.back();
      if (item.is_parameter) parameters += item.tensor.numel();
      bytes += stored_bytes(item);
    }
  }
  core::Json index;
  index["metadata"] = {{"total_parameters", parameters}, {"total_size", bytes}};
  index["weight_map"] = file_of;
  written.push_back("model.safetensors.index.json");
  OutputFile file(folder + "/" + written.back(), mode);
  file.write(core::to_pretty_text(index));
  file.publish();
  remove_other_weights(folder, written);
  return written;
}

}  // namespace txtsum::io
