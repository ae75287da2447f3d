// Arrow and LibTorch in one process: each brings libraries of its own that the other has too.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "record_files.h"

namespace txtsum::data {
namespace {

double norm_of_product() {
  const at::Tensor a = at::arange(64 * 64, at::kDouble).reshape({64, 64}) / 4096.0;
  return a.matmul(a.t()).add(1.0).softmax(1).norm().item<double>();
}

TEST(ArrowLibrary, WorksBesideLibTorch) {
#if !TXTSUM_WITH_ARROW
  GTEST_SKIP() << "built without Arrow";
#endif
  const double before = norm_of_product();
  for (const char* name : {"arrow/saved", "arrow/files/zstd.parquet", "arrow/files/lz4.feather"}) {
    EXPECT_GE(read_all(kFixtures + name).size(), 11u) << name;
    EXPECT_EQ(norm_of_product(), before) << name;
  }
  try {
    read_all(kFixtures + "arrow/refused/null.parquet");
    FAIL();
  } catch (const core::DataError&) {
  }
}

}  // namespace
}  // namespace txtsum::data
