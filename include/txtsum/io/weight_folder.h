#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "txtsum/io/tensor_file.h"

namespace txtsum::io {

/// The weights of a model folder as the Hugging Face Hub has it, the first of these that is there: `model.safetensors`,
/// `model.safetensors.index.json` with its shards, `pytorch_model.bin`, `pytorch_model.bin.index.json` with its shards.
class WeightFolder {
 public:
  /// Opens every file and checks it against the index. Throws DataError: no weights, a shard that is missing, a name
  /// that is in two shards or not where the index says, a tensor that the index does not list.
  explicit WeightFolder(const std::string& folder);

  const std::string& folder() const { return folder_; }
  /// Paths of the files that were opened.
  std::vector<std::string> files() const;
  /// Names of all tensors, sorted.
  std::vector<std::string> names() const;
  /// The entry called `name`, or nullptr.
  const TensorEntry* find(std::string_view name) const;
  /// The tensor called `name`: a read-only view, as TensorFile::tensor. Throws DataError when there is none.
  at::Tensor tensor(std::string_view name) const;

 private:
  void open_shards(const std::string& index_path);

  std::string folder_;
  std::vector<std::unique_ptr<TensorFile>> files_;
  std::map<std::string, size_t, std::less<>> file_numbers_;
};

}  // namespace txtsum::io
