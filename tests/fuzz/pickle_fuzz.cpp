#include "io/zip_archive.h"
#include "tensors.h"
#include "txtsum/io/pickled_weights.h"

using namespace txtsum;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const tests::InputFile file("pytorch_model.bin");
  const std::string_view bytes = tests::as_text(data, size);
  // From memory first, where a byte read behind the end is noticed.
  tests::accepts(file.path(), [&] { io::read_zip_directory(file.path(), bytes); });
  file.write(bytes);
  tests::accepts(file.path(), [&] { tests::read_tensors(io::PickledWeights(file.path())); });
  return 0;
}

#ifdef TXTSUM_FUZZ
#include <algorithm>
#include <cstring>

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);
extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned seed);

namespace {

/// Writes its checksum into each entry of a zip archive's directory, so that mutations get behind the check.
void mend_checksums(uint8_t* data, size_t size) {
  constexpr size_t kCentralBytes = 46, kLocalBytes = 30;
  const auto number = [&](size_t at, size_t bytes) {
    uint64_t value = 0;
    for (size_t i = bytes; i-- > 0;) value = value << 8 | data[at + i];
    return value;
  };
  for (size_t at = 0; at + kCentralBytes <= size; ++at) {
    if (std::memcmp(data + at, "PK\x01\x02", 4) != 0) continue;
    const uint64_t bytes = number(at + 24, 4), local = number(at + 42, 4);
    if (local + kLocalBytes > size) continue;
    const uint64_t begin = local + kLocalBytes + number(local + 26, 2) + number(local + 28, 2);
    if (begin > size || bytes > size - begin) continue;
    const uint32_t checksum = io::crc32_of(tests::as_text(data + begin, bytes));
    std::memcpy(data + at + 16, &checksum, sizeof(checksum));
  }
}

}  // namespace

size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned seed) {
  const size_t mutated = LLVMFuzzerMutate(data, size, max_size);
  if (seed % 8 != 0) mend_checksums(data, mutated);
  return mutated;
}
#endif
