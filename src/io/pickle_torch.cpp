// The names that torch.save writes into its pickles, and what a PickleMachine makes of them.

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "pickle_machine.h"

namespace txtsum::io {
namespace {

// More than any file has; a value that was kept can be named again and again, and its parts would be copied each time.
constexpr size_t kLongestKey = 255, kMostDimensions = 64;
constexpr int64_t kMostElements = std::numeric_limits<int64_t>::max() / 16;

constexpr std::string_view kOrderedDict = "collections OrderedDict";
constexpr std::string_view kRebuildTensor = "torch._utils _rebuild_tensor";
constexpr std::string_view kRebuildTensorV2 = "torch._utils _rebuild_tensor_v2";
constexpr std::string_view kRebuildParameter = "torch._utils _rebuild_parameter";

struct StorageType {
  std::string_view name;
  at::ScalarType type;
};
constexpr std::array<StorageType, 10> kStorageTypes{{{"torch FloatStorage", at::kFloat},
                                                     {"torch HalfStorage", at::kHalf},
                                                     {"torch BFloat16Storage", at::kBFloat16},
                                                     {"torch DoubleStorage", at::kDouble},
                                                     {"torch LongStorage", at::kLong},
                                                     {"torch IntStorage", at::kInt},
                                                     {"torch ShortStorage", at::kShort},
                                                     {"torch CharStorage", at::kChar},
                                                     {"torch ByteStorage", at::kByte},
                                                     {"torch BoolStorage", at::kBool}}};

const StorageType* storage_type(std::string_view name) {
  for (const StorageType& type : kStorageTypes) {
    if (type.name == name) return &type;
  }
  return nullptr;
}

bool known_global(std::string_view name) {
  return name == kOrderedDict || name == kRebuildTensor || name == kRebuildTensorV2 || name == kRebuildParameter ||
         storage_type(name) != nullptr;
}

}  // namespace

void PickleMachine::push_global(std::string module, const std::string& name) {
  const std::string global = std::move(module.append(" ").append(name));
  if (!known_global(global)) {
    fail("names '" + global +
         "', which weights have no use for; a pickle can run any program that way, so nothing of it "
         "was executed");
  }
  push(Kind::kGlobal, global);
}

void PickleMachine::reduce() {
  const Ref arguments = pop(), function = pop();
  if (!arguments->is(Kind::kTuple) || !function->is(Kind::kGlobal)) fail("calls what is no function");
  const std::vector<Ref>& items = arguments->items;
  if (function->text == kOrderedDict) {
    push(Kind::kDict);
    if (items.empty()) return;
    // Python 2 wrote the pairs as an argument.
    if (items.size() != 1 || !items[0]->is(Kind::kList)) fail("an OrderedDict of something else than pairs");
    count_work(items[0]->items.size());  // the list may have been kept, and be used again and again
    for (const Ref pair : items[0]->items) {
      if (pair->items.size() != 2) fail("an OrderedDict of something else than pairs");
      top()->items.insert(top()->items.end(), pair->items.begin(), pair->items.end());
    }
  } else if (function->text == kRebuildTensor || function->text == kRebuildTensorV2) {
    stack_.push_back(tensor_of(items));
  } else if (function->text == kRebuildParameter) {
    if (items.empty() || !items[0]->is(Kind::kTensor)) fail("a parameter without a tensor");
    stack_.push_back(items[0]);
  } else {
    fail("calls " + function->text);
  }
}

/// The state of an OrderedDict (`_metadata` of modules) says nothing about weights.
void PickleMachine::build() {
  pop();
  if (!top()->is(Kind::kDict)) fail("sets the state of something else than a dictionary");
}

void PickleMachine::persistent_storage() {
  const Ref id = pop();
  const std::vector<Ref>& parts = id->items;
  if (!id->is(Kind::kTuple) || parts.size() < 5 || parts[0]->text != "storage" || !parts[1]->is(Kind::kGlobal) ||
      !parts[2]->is(Kind::kText) || !parts[4]->is(Kind::kInteger)) {
    fail("refers to something else than a storage of torch.save");
  }
  if (parts.size() > 5 && !parts[5]->is(Kind::kNone)) {
    fail("a storage that is a view of another one (PyTorch before 0.4): save the file anew with a newer PyTorch");
  }
  const StorageType* type = storage_type(parts[1]->text);
  if (type == nullptr) fail("a storage of type " + parts[1]->text);
  PickledStorage storage{parts[2]->text, type->type, parts[4]->integer};
  if (storage.key.size() > kLongestKey)
    fail("a storage whose key has " + std::to_string(storage.key.size()) + " bytes");
  if (storage.numel < 0) fail("a storage of " + std::to_string(storage.numel) + " elements");
  const auto [place, is_new] = storages_.emplace(storage.key, storage);
  if (!is_new && (place->second.type != storage.type || place->second.numel != storage.numel)) {
    fail("storage " + storage.key + " has two types or sizes");
  }
  push(Kind::kStorage);
  top()->tensor = std::make_unique<PickledTensor>();
  top()->tensor->storage = std::move(storage);
}

PickledValue::Ref PickleMachine::tensor_of(const std::vector<Ref>& arguments) {
  if (arguments.size() < 4 || !arguments[0]->is(Kind::kStorage) || !arguments[1]->is(Kind::kInteger)) {
    fail("a tensor without storage and offset");
  }
  const Ref value = make(Kind::kTensor);
  value->tensor = std::make_unique<PickledTensor>(PickledTensor{arguments[0]->tensor->storage, arguments[1]->integer,
                                                                integers_of(arguments[2]), integers_of(arguments[3])});
  const PickledTensor& tensor = *value->tensor;
  if (tensor.sizes.size() != tensor.strides.size()) fail("a tensor with another number of strides than of sizes");
  // The last element must lie within the storage; in 128 bits nothing overflows. The number of elements, sizes of 0
  // left out, must be one that LibTorch can count the bytes of: strides of 0 may repeat an element without end.
  __extension__ using Wide = __int128;
  Wide last = tensor.offset, elements = 1;
  const bool empty = std::find(tensor.sizes.begin(), tensor.sizes.end(), 0) != tensor.sizes.end();
  for (size_t i = 0; i < tensor.sizes.size(); ++i) {
    if (tensor.sizes[i] < 0 || tensor.strides[i] < 0) fail("a tensor of negative size or stride");
    elements *= std::max<int64_t>(tensor.sizes[i], 1);
    if (elements > kMostElements) fail("a tensor of more elements than there can be");
    if (!empty) last += static_cast<Wide>(tensor.sizes[i] - 1) * tensor.strides[i];
    if (last > tensor.storage.numel) break;
  }
  if (tensor.offset < 0 || last > tensor.storage.numel - (empty ? 0 : 1)) fail("a tensor that ends behind its storage");
  return value;
}

std::vector<int64_t> PickleMachine::integers_of(const Ref& tuple) const {
  std::vector<int64_t> values;
  if (!tuple->is(Kind::kTuple)) fail("a shape that is no tuple");
  if (tuple->items.size() > kMostDimensions) fail("a shape of " + std::to_string(tuple->items.size()) + " dimensions");
  for (const Ref item : tuple->items) {
    if (!item->is(Kind::kInteger)) fail("a shape of something else than whole numbers");
    values.push_back(item->integer);
  }
  return values;
}

}  // namespace txtsum::io
