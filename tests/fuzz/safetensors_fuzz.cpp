#include "io/header_parser.h"
#include "tensors.h"
#include "txtsum/io/safetensors.h"

using namespace txtsum;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const tests::InputFile file("model.safetensors");
  const std::string_view bytes = tests::as_text(data, size);
  // First from memory, where a byte read behind the end is noticed; behind a mapped file's end there are zeros.
  if (!tests::accepts(file.path(), [&] { io::parse_safetensors_header(file.path(), bytes); })) return 0;
  file.write(bytes);
  tests::read_tensors(io::SafetensorsFile(file.path()));
  return 0;
}
