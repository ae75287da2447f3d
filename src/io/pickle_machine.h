#pragma once

#include <c10/core/ScalarType.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace txtsum::io {

/// Bytes that tensors lie in, as a file of torch.save names them.
struct PickledStorage {
  std::string key;
  at::ScalarType type = at::kFloat;
  int64_t numel = 0;
};

/// A tensor over a storage; sizes, strides and offset in elements, as they stand in the file.
struct PickledTensor {
  PickledStorage storage;
  int64_t offset = 0;
  std::vector<int64_t> sizes, strides;
};

/// What a pickle may hold here.
struct PickledValue {
  enum class Kind { kNone, kBool, kInteger, kBytes, kReal, kText, kList, kTuple, kDict, kGlobal, kStorage, kTensor };
  using Ref = PickledValue*;  ///< Owned by the machine: values may refer to each other in circles.

  Kind kind = Kind::kNone;
  int64_t integer = 0;  ///< kBool, kInteger
  double real = 0.0;
  std::string text;        ///< kText; kBytes; of a kGlobal, `module name`; digits of an integer beyond 64 bits (kBytes)
  std::vector<Ref> items;  ///< kList, kTuple; of a kDict key, value, key, value, ...
  std::unique_ptr<PickledTensor> tensor;  ///< kTensor; of a kStorage its storage

  bool is(Kind other) const { return kind == other; }
};

/// Reads pickles of torch.save (protocols 2 to 5) without executing anything: it knows the operations that such files
/// use and a dozen names, makes plain values of them, and refuses the rest by name. What a file can make it do and keep
/// is bounded. Throws DataError with path and byte.
class PickleMachine {
 public:
  /// `bytes` must outlive the machine.
  PickleMachine(std::string path, std::string_view bytes, size_t begin = 0);

  /// The value of the pickle that begins at position(). It lives as long as the machine.
  PickledValue::Ref read();
  /// Behind the last pickle that was read.
  size_t position() const { return at_; }
  /// Every storage that was named so far, by key.
  const std::map<std::string, PickledStorage>& storages() const { return storages_; }

  [[noreturn]] void fail(const std::string& what) const;

 private:
  using Kind = PickledValue::Kind;
  using Ref = PickledValue::Ref;

  void step(uint8_t operation);
  bool push_constant(uint8_t operation);
  bool push_text(uint8_t operation);
  bool build_container(uint8_t operation);
  bool use_memo(uint8_t operation);

  std::string_view take(size_t count);
  template <typename Number>
  Number number();
  std::string_view line();
  Ref pop();
  /// The values above the last mark, which goes too.
  std::vector<Ref> pop_to_mark();
  Ref top();
  /// Counts towards what one file may take; throws when that is used up.
  void count_work(size_t steps);
  Ref make(Kind kind);
  void push(Kind kind, std::string text = {}, int64_t integer = 0);
  void push_long(size_t bytes);
  void push_global(std::string module, const std::string& name);
  void push_tuple(std::vector<Ref> items);
  void reduce();
  void build();
  void persistent_storage();
  Ref tensor_of(const std::vector<Ref>& arguments);
  std::vector<int64_t> integers_of(const Ref& tuple) const;

  std::string path_;
  std::string_view bytes_;
  size_t at_;
  size_t work_ = 0;
  std::deque<PickledValue> values_;
  std::vector<Ref> stack_;
  std::vector<size_t> marks_;
  std::map<uint64_t, Ref> memo_;
  std::map<std::string, PickledStorage> storages_;
};

}  // namespace txtsum::io
