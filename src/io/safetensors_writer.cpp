#include "txtsum/io/safetensors_writer.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <filesystem>
#include <regex>

#include "output_file.h"
#include "txtsum/core/check.h"

namespace txtsum::io {
namespace {

std::vector<TensorDeclaration> declarations_of(const std::vector<NamedTensor>& tensors) {
  std::vector<TensorDeclaration> declarations;
  for (const NamedTensor& item : tensors) {
    TXTSUM_CHECK(item.tensor.defined(), "tensor ", item.name);
    declarations.push_back(
        {item.name, item.tensor.sizes().vec(), item.stored_as.value_or(item.tensor.scalar_type()), item.is_parameter});
  }
  return declarations;
}

void write_file(const std::string& path, const FileLayout& layout, const std::vector<NamedTensor>& tensors,
                PublishMode mode) {
  OutputFile file(path, mode);
  file.write(layout.header);
  for (const FileLayout::Place& place : layout.places) {
    const NamedTensor& item = tensors[place.tensor];
    const at::ScalarType type = item.stored_as.value_or(item.tensor.scalar_type());
    const at::Tensor ready = item.tensor.detach().to(at::kCPU, type).contiguous();
    file.write({static_cast<const char*>(ready.const_data_ptr()), ready.nbytes()});
  }
  file.publish();
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

}  // namespace

void save_safetensors(const std::string& path, const std::vector<NamedTensor>& tensors,
                      const SafetensorsMetadata& metadata, PublishMode mode) {
  write_file(path, lay_out_file(path, declarations_of(tensors), metadata), tensors, mode);
}

std::vector<std::string> save_sharded(const std::string& folder, const std::vector<NamedTensor>& tensors,
                                      int64_t max_shard_bytes, PublishMode mode) {
  const ModelLayout model = lay_out_model(declarations_of(tensors), max_shard_bytes);
  std::vector<std::string> written;
  for (const FileLayout& layout : model.files) {
    written.push_back(layout.name);
    write_file(folder + "/" + layout.name, layout, tensors, mode);
  }
  if (!model.index.empty()) {
    written.emplace_back(kWeightIndexFile);
    OutputFile file(folder + "/" + written.back(), mode);
    file.write(model.index);
    file.publish();
  }
  remove_other_weights(folder, written);
  return written;
}

}  // namespace txtsum::io
