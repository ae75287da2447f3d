#include "pickle_machine.h"

#include <bit>
#include <cstring>
#include <utility>

#include "txtsum/core/error.h"

namespace txtsum::io {
namespace {

/// Of all pickles of a file; a tensor takes about 40. Each may make a value, so this keeps memory within a few GB.
constexpr size_t kMostWork = 4'000'000;
constexpr uint8_t kNewestProtocol = 5;

}  // namespace

PickleMachine::PickleMachine(std::string path, std::string_view bytes, size_t begin)
    : path_(std::move(path)), bytes_(bytes), at_(begin) {}

void PickleMachine::fail(const std::string& what) const {
  throw core::DataError(path_ + ": byte " + std::to_string(at_) + ": " + what);
}

PickledValue::Ref PickleMachine::read() {
  stack_.clear();
  marks_.clear();
  memo_.clear();
  while (true) {
    const auto operation = number<uint8_t>();
    if (operation == '.') break;
    count_work(1);
    step(operation);
  }
  if (stack_.size() != 1 || !marks_.empty()) fail("the pickle ends with values left over");
  return pop();
}

void PickleMachine::step(uint8_t operation) {
  if (push_constant(operation) || push_text(operation) || build_container(operation) || use_memo(operation)) return;
  switch (operation) {
    case 0x80:  // PROTO
      if (number<uint8_t>() > kNewestProtocol) fail("a pickle of a newer protocol");
      return;
    case 0x95:  // FRAME
      return static_cast<void>(number<uint64_t>());
    case 'c': {  // GLOBAL
      const std::string module(line()), name(line());
      return push_global(module, name);
    }
    case 0x93: {  // STACK_GLOBAL
      const Ref name = pop(), module = pop();
      if (!name->is(Kind::kText) || !module->is(Kind::kText)) fail("a global without a name");
      return push_global(module->text, name->text);
    }
    case 'R':
      return reduce();
    case 'b':
      return build();
    case 'Q':
      return persistent_storage();
    default:
      fail("the pickle does something that weights have no use for (operation " + std::to_string(operation) +
           "); nothing of it was executed");
  }
}

bool PickleMachine::push_constant(uint8_t operation) {
  switch (operation) {
    case 'N':
      push(Kind::kNone);
      return true;
    case 0x88:  // NEWTRUE
    case 0x89:  // NEWFALSE
      push(Kind::kBool, {}, operation == 0x88 ? 1 : 0);
      return true;
    case 'K':
      push(Kind::kInteger, {}, number<uint8_t>());
      return true;
    case 'M':
      push(Kind::kInteger, {}, number<uint16_t>());
      return true;
    case 'J':
      push(Kind::kInteger, {}, number<int32_t>());
      return true;
    case 0x8a:  // LONG1
      push_long(number<uint8_t>());
      return true;
    case 0x8b:  // LONG4
      push_long(number<uint32_t>());
      return true;
    case 'G': {  // BINFLOAT, big-endian
      uint64_t bits = 0;
      for (const char byte : take(8)) bits = bits << 8 | static_cast<uint8_t>(byte);
      push(Kind::kReal);
      top()->real = std::bit_cast<double>(bits);
      return true;
    }
    default:
      return false;
  }
}

bool PickleMachine::push_text(uint8_t operation) {
  Kind kind = Kind::kText;
  uint64_t size = 0;
  switch (operation) {
    case 'B':
      kind = Kind::kBytes;
      [[fallthrough]];
    case 'X':
    case 'T':
      size = number<uint32_t>();
      break;
    case 'C':
      kind = Kind::kBytes;
      [[fallthrough]];
    case 'U':
    case 0x8c:  // SHORT_BINUNICODE
      size = number<uint8_t>();
      break;
    case 0x8d:  // BINUNICODE8
      size = number<uint64_t>();
      break;
    default:
      return false;
  }
  push(kind, std::string(take(size)));
  return true;
}

bool PickleMachine::build_container(uint8_t operation) {
  switch (operation) {
    case '}':
      push(Kind::kDict);
      return true;
    case ']':
      push(Kind::kList);
      return true;
    case ')':
      push(Kind::kTuple);
      return true;
    case '(':
      marks_.push_back(stack_.size());
      return true;
    case 't':
      push_tuple(pop_to_mark());
      return true;
    case 0x85:    // TUPLE1
    case 0x86:    // TUPLE2
    case 0x87: {  // TUPLE3
      std::vector<Ref> items(static_cast<size_t>(operation - 0x84));
      for (size_t i = items.size(); i-- > 0;) items[i] = pop();
      push_tuple(std::move(items));
      return true;
    }
    case 's':
    case 'u': {  // SETITEM, SETITEMS
      std::vector<Ref> pairs;
      if (operation == 'u') {
        pairs = pop_to_mark();
      } else {
        pairs = {nullptr, pop()};
        pairs[0] = pop();
      }
      if (pairs.size() % 2 != 0 || !top()->is(Kind::kDict))
        fail("a key without a value, or no dictionary to put it in");
      top()->items.insert(top()->items.end(), pairs.begin(), pairs.end());
      return true;
    }
    case 'a':
    case 'e': {  // APPEND, APPENDS
      std::vector<Ref> values = operation == 'e' ? pop_to_mark() : std::vector<Ref>{pop()};
      if (!top()->is(Kind::kList)) fail("no list to append to");
      top()->items.insert(top()->items.end(), values.begin(), values.end());
      return true;
    }
    default:
      return false;
  }
}

bool PickleMachine::use_memo(uint8_t operation) {
  const auto recall = [&](uint64_t number) {
    const auto found = memo_.find(number);
    if (found == memo_.end()) fail("refers to value " + std::to_string(number) + ", which was not kept");
    stack_.push_back(found->second);
  };
  switch (operation) {
    case 'q':
      memo_[number<uint8_t>()] = top();
      return true;
    case 'r':
      memo_[number<uint32_t>()] = top();
      return true;
    case 0x94:  // MEMOIZE
      memo_[memo_.size()] = top();
      return true;
    case 'h':
      recall(number<uint8_t>());
      return true;
    case 'j':
      recall(number<uint32_t>());
      return true;
    default:
      return false;
  }
}

std::string_view PickleMachine::take(size_t count) {
  if (bytes_.size() - at_ < count) fail("the pickle ends too early");
  const std::string_view taken = bytes_.substr(at_, count);
  at_ += count;
  return taken;
}

template <typename Number>
Number PickleMachine::number() {
  Number value;
  std::memcpy(&value, take(sizeof(Number)).data(), sizeof(Number));
  return value;
}

std::string_view PickleMachine::line() {
  const size_t end = bytes_.find('\n', at_);
  if (end == std::string_view::npos) fail("the pickle ends within a name");
  const std::string_view text = take(end - at_);
  take(1);
  return text;
}

PickledValue::Ref PickleMachine::pop() {
  if (stack_.empty() || (!marks_.empty() && stack_.size() == marks_.back())) fail("takes a value where there is none");
  const Ref value = stack_.back();
  stack_.pop_back();
  return value;
}

std::vector<PickledValue::Ref> PickleMachine::pop_to_mark() {
  if (marks_.empty()) fail("closes what was not opened");
  const auto begin = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
  std::vector<Ref> values(begin, stack_.end());
  stack_.erase(begin, stack_.end());
  marks_.pop_back();
  return values;
}

PickledValue::Ref PickleMachine::top() {
  if (stack_.empty() || (!marks_.empty() && stack_.size() == marks_.back())) fail("takes a value where there is none");
  return stack_.back();
}

void PickleMachine::count_work(size_t steps) {
  work_ += steps;
  if (work_ > kMostWork) fail("the pickle does more than " + std::to_string(kMostWork) + " operations");
}

PickledValue::Ref PickleMachine::make(Kind kind) {
  values_.emplace_back().kind = kind;
  return &values_.back();
}

void PickleMachine::push(Kind kind, std::string text, int64_t integer) {
  const Ref value = make(kind);
  value->text = std::move(text);
  value->integer = integer;
  stack_.push_back(value);
}

/// Two's complement, little-endian. What does not fit 64 bits stays bytes.
void PickleMachine::push_long(size_t bytes) {
  const std::string_view digits = take(bytes);
  if (bytes > sizeof(int64_t)) return push(Kind::kBytes, std::string(digits));
  uint64_t value = !digits.empty() && digits.back() < 0 ? ~uint64_t{0} : 0;
  for (size_t i = digits.size(); i-- > 0;) value = value << 8 | static_cast<uint8_t>(digits[i]);
  push(Kind::kInteger, {}, static_cast<int64_t>(value));
}

void PickleMachine::push_tuple(std::vector<Ref> items) {
  push(Kind::kTuple);
  top()->items = std::move(items);
}

}  // namespace txtsum::io
