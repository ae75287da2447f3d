#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "txtsum/core/file.h"
#include "txtsum/io/tensor_file.h"

namespace txtsum::io {

struct PickledTensor;
struct PickledStorage;

/// A dictionary of tensors that torch.save wrote (`pytorch_model.bin`), as a zip archive (PyTorch 1.6 and later) or in
/// the older form of pickles and storages one after the other. Nothing in the file is executed: a pickle that does more
/// than name tensors is refused (PickleMachine). Tensors are views of a memory map where they are aligned.
class PickledWeights final : public TensorFile {
 public:
  /// Maps the file and reads its pickle. Throws DataError with path, byte, wanted and found.
  explicit PickledWeights(const std::string& path);
  ~PickledWeights() override;

  const std::string& path() const override { return map_->path(); }
  /// In the dictionary's order. Tensors that share a storage (tied weights) share their bytes.
  const std::vector<TensorEntry>& entries() const override { return entries_; }
  const TensorEntry* find(std::string_view name) const override;
  /// Checks the zip entry's checksum when its storage is used for the first time.
  at::Tensor tensor(std::string_view name) const override;

 private:
  /// Bytes of one storage.
  struct Place {
    size_t begin = 0, end = 0;
    bool has_crc = false;
    uint32_t crc32 = 0;
  };

  void read_zip();
  void read_legacy();
  void take_dictionary(const struct PickledValue& dictionary);
  void check_storage(const std::string& key) const;
  [[noreturn]] void fail(const std::string& what) const;

  std::shared_ptr<const core::MappedFile> map_;
  std::map<std::string, Place> places_;  // by storage key
  std::vector<TensorEntry> entries_;
  std::vector<PickledTensor> tensors_;  // as entries_
  std::unordered_map<std::string, size_t> numbers_;
  mutable std::mutex mutex_;
  mutable std::set<std::string> checked_;  // storages
};

}  // namespace txtsum::io
