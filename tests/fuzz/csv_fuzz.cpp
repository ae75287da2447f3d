#include "records.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const txtsum::tests::InputFile csv("rows.csv"), tsv("rows.tsv");
  txtsum::tests::read_rows(csv, txtsum::data::open_csv, txtsum::tests::as_text(data, size));
  txtsum::tests::read_rows(tsv, txtsum::data::open_tsv, txtsum::tests::as_text(data, size));
  return 0;
}
