#include "txtsum/model/model_outline.h"
#include "untrusted.h"

using namespace txtsum;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const tests::InputFile file("config.json");
  file.write(tests::as_text(data, size));
  tests::accepts(file.folder(), [&] {
    model::LoadRequest request;
    request.folder = file.folder();
    request.random_weights = true;
    const model::ModelOutline outline = model::outline_model(request);
    if (outline.layout.total_numel() <= 0) tests::InputFile::die("a model without weights");
    model::pass_bytes(outline, {.source = 100, .target = 10, .sequences = 2}, {});
  });
  return 0;
}
