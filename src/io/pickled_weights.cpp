#include "txtsum/io/pickled_weights.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include <algorithm>
#include <cstring>

#include "dtype.h"
#include "pickle_machine.h"
#include "txtsum/core/error.h"
#include "zip_archive.h"

namespace txtsum::io {
namespace {

using Kind = PickledValue::Kind;

constexpr std::string_view kZipStart = "PK\x03\x04";
constexpr char kPickleStart = '\x80';
/// The integer 0x1950a86a20f9469cfc6c, with which the older form begins.
constexpr std::string_view kLegacyMagic = "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";
constexpr int64_t kLegacyProtocol = 1001;
constexpr std::string_view kDataFile = "/data.pkl";

size_t element_bytes(at::ScalarType type) { return c10::elementSize(type); }

/// Elements from the first to the last that a tensor reaches, without its offset; 0: it is empty.
int64_t extent_of(const PickledTensor& tensor) {
  if (std::find(tensor.sizes.begin(), tensor.sizes.end(), 0) != tensor.sizes.end()) return 0;
  int64_t last = 0;
  for (size_t i = 0; i < tensor.sizes.size(); ++i) {
    last += (tensor.sizes[i] - 1) * tensor.strides[i];
  }
  return last + 1;
}

}  // namespace

PickledWeights::PickledWeights(const std::string& path) : map_(std::make_shared<core::MappedFile>(path)) {
  const std::string_view bytes = map_->text();
  if (bytes.starts_with(kZipStart)) {
    read_zip();
  } else if (!bytes.empty() && bytes.front() == kPickleStart) {
    read_legacy();
  } else {
    fail("wanted a file of torch.save: a zip archive or a pickle at byte 0");
  }
}

PickledWeights::~PickledWeights() = default;

void PickledWeights::fail(const std::string& what) const { throw core::DataError(path() + ": " + what); }

void PickledWeights::read_zip() {
  const std::vector<ZipEntry> files = read_zip_directory(path(), map_->text());
  const ZipEntry* data = nullptr;
  for (const ZipEntry& file : files) {
    if (!file.name.ends_with(kDataFile) || file.name.find('/') != file.name.size() - kDataFile.size()) continue;
    data = &file;
  }
  if (data == nullptr) fail("the archive has no data.pkl: not a file of torch.save");
  const std::string root = data->name.substr(0, data->name.size() - kDataFile.size());
  const auto text_of = [&](const ZipEntry& file) { return map_->text().substr(file.begin, file.end - file.begin); };
  for (const ZipEntry& file : files) {
    if (file.name == root + "/byteorder" && text_of(file) != "little") fail("byteorder: wanted little-endian data");
    const std::string folder = root + "/data/";
    if (file.name.starts_with(folder))
      places_[file.name.substr(folder.size())] = {file.begin, file.end, true, file.crc32};
  }
  if (crc32_of(text_of(*data)) != data->crc32) fail(data->name + " does not have its checksum: the file is damaged");
  PickleMachine machine(path() + ": " + data->name, text_of(*data));
  take_dictionary(*machine.read());
}

void PickledWeights::read_legacy() {
  PickleMachine machine(path(), map_->text());
  const PickledValue::Ref magic = machine.read(), protocol = machine.read(), system = machine.read();
  if (!magic->is(Kind::kBytes) || magic->text != kLegacyMagic || protocol->integer != kLegacyProtocol) {
    fail("a pickle, but not one of torch.save");
  }
  for (size_t i = 0; i + 1 < system->items.size(); i += 2) {
    if (system->items[i]->text == "little_endian" && system->items[i + 1]->integer == 0) {
      fail("the data is big-endian: save the file anew on a little-endian machine");
    }
  }
  const PickledValue::Ref dictionary = machine.read(), keys = machine.read();
  // Behind the pickles: for each storage, in the order of the keys, its number of elements and its bytes.
  size_t at = machine.position();
  for (const PickledValue::Ref key : keys->items) {
    const auto storage = machine.storages().find(key->text);
    if (storage == machine.storages().end()) fail("storage " + key->text + " belongs to no tensor");
    int64_t numel = 0;
    if (map_->size() - at < sizeof(numel)) fail("the file ends before storage " + key->text);
    std::memcpy(&numel, map_->data() + at, sizeof(numel));
    at += sizeof(numel);
    const size_t size = element_bytes(storage->second.type);
    if (numel != storage->second.numel || (map_->size() - at) / size < static_cast<size_t>(numel)) {
      fail("byte " + std::to_string(at) + ": storage " + key->text + ": wanted " +
           std::to_string(storage->second.numel) + " elements, found " + std::to_string(numel) +
           ", or the file ends before them");
    }
    const size_t bytes = static_cast<size_t>(numel) * size;
    places_[key->text] = {at, at + bytes, false, 0};
    at += bytes;
  }
  take_dictionary(*dictionary);
}

void PickledWeights::take_dictionary(const PickledValue& dictionary) {
  if (!dictionary.is(Kind::kDict)) fail("wanted a dictionary of tensors");
  for (size_t i = 0; i + 1 < dictionary.items.size(); i += 2) {
    const PickledValue &name = *dictionary.items[i], &value = *dictionary.items[i + 1];
    if (!name.is(Kind::kText)) fail("wanted names of tensors as keys");
    if (!value.is(Kind::kTensor)) {
      fail("'" + name.text + "' is no tensor: wanted the weights alone, not a training's whole state");
    }
    const PickledTensor& tensor = *value.tensor;
    const size_t size = element_bytes(tensor.storage.type);
    const auto place = places_.find(tensor.storage.key);
    if (place == places_.end()) fail("tensor '" + name.text + "': its storage " + tensor.storage.key + " is missing");
    // Its elements lie within the storage, as the pickle gives its size; the storage must have that size.
    if ((place->second.end - place->second.begin) / size < static_cast<size_t>(tensor.storage.numel)) {
      fail("tensor '" + name.text + "': storage " + tensor.storage.key + " is shorter than " +
           std::to_string(tensor.storage.numel) + " elements");
    }
    if (!numbers_.emplace(name.text, entries_.size()).second) fail("tensor '" + name.text + "' is there twice");
    TensorEntry entry{name.text, std::string(find_dtype(tensor.storage.type)->name), tensor.sizes};
    entry.begin = place->second.begin + static_cast<size_t>(tensor.offset) * size;
    entry.end = entry.begin + static_cast<size_t>(extent_of(tensor)) * size;
    entries_.push_back(std::move(entry));
    tensors_.push_back(tensor);
  }
}

const TensorEntry* PickledWeights::find(std::string_view name) const {
  const auto found = numbers_.find(std::string(name));
  return found == numbers_.end() ? nullptr : &entries_[found->second];
}

void PickledWeights::check_storage(const std::string& key) const {
  const Place& place = places_.at(key);
  if (!place.has_crc) return;
  const std::lock_guard<std::mutex> lock(mutex_);
  if (checked_.count(key) > 0) return;
  if (crc32_of(map_->text().substr(place.begin, place.end - place.begin)) != place.crc32) {
    fail("byte " + std::to_string(place.begin) + ": storage " + key +
         " does not have its checksum: the file is damaged; download it again");
  }
  checked_.insert(key);
}

at::Tensor PickledWeights::tensor(std::string_view name) const {
  const auto found = numbers_.find(std::string(name));
  if (found == numbers_.end()) fail("no tensor '" + std::string(name) + "'");
  const PickledTensor& tensor = tensors_[found->second];
  const TensorEntry& entry = entries_[found->second];
  check_storage(tensor.storage.key);
  const at::TensorOptions options = at::TensorOptions().dtype(tensor.storage.type);
  const std::byte* data = map_->data() + entry.begin;
  const size_t bytes = entry.end - entry.begin;
  if (tensor.storage.type == at::kBool) require_booleans(path(), map_->text(), entry);
  if (bytes == 0) return at::empty(tensor.sizes, options);
  if (reinterpret_cast<uintptr_t>(data) % element_bytes(tensor.storage.type) != 0) {
    const at::Tensor copy = at::empty({extent_of(tensor)}, options);
    std::memcpy(copy.data_ptr(), data, bytes);
    return copy.as_strided(tensor.sizes, tensor.strides);
  }
  // The deleter owns a share of the map; from_blob wants a pointer that is not const.
  return at::from_blob(
      const_cast<std::byte*>(data), tensor.sizes, tensor.strides, [map = map_](void*) {}, options);
}

}  // namespace txtsum::io
