#include "records.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const txtsum::tests::InputFile lines("rows.jsonl"), document("rows.json");
  txtsum::tests::read_rows(lines, txtsum::data::open_json_lines, txtsum::tests::as_text(data, size));
  txtsum::tests::read_rows(document, txtsum::data::open_json, txtsum::tests::as_text(data, size));
  return 0;
}
