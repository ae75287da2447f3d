#include "train/memory_account.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace txtsum::tests {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr int64_t kGib = int64_t{1} << 30;

train::MemoryAccount account() {
  train::MemoryAccount account;
  account.weights = kGib;
  account.gradients = kGib;
  account.masters = 2 * kGib;
  account.moments = 4 * kGib;
  account.logits = kGib / 4;
  account.device = ops::DeviceMemory{80 * kGib, kGib / 2, 72 * kGib};
  return account;
}

train::MemoryRequest request() {
  train::MemoryRequest request;
  request.asked = "2.00 GiB";
  request.update = 12;
  request.micro_batch_tokens = 65536;
  request.layers = 16;
  request.width = 1024;
  request.element_bytes = 2;
  request.narrow = true;
  return request;
}

TEST(MemoryAccount, SaysWhatWasAskedAndWhereThePeakWent) {
  const std::string text = train::out_of_memory_text(account(), request());
  EXPECT_THAT(text, HasSubstr("out of GPU memory in update 12, in a micro-batch of 65536 tokens: asked for 2.00 GiB"));
  EXPECT_THAT(text, HasSubstr("the GPU has 80.00 GiB, of which 0.50 GiB are not this run's tensors"));
  EXPECT_THAT(text, HasSubstr("states 8.00 GiB (weights 1.00 GiB, gradients 1.00 GiB, fp32 masters 2.00 GiB, moments "
                              "4.00 GiB)"));
  EXPECT_THAT(text, HasSubstr("activations 64.00 GiB until then, logits of at most 0.25 GiB among them"));
}

TEST(MemoryAccount, SaysWhichSettingLowersItByHowMuch) {
  const std::string text = train::out_of_memory_text(account(), request());
  EXPECT_THAT(text, HasSubstr("train.micro_batch_tokens=32768 (the same updates in smaller pieces): about 32.00 GiB"));
  // 64 GiB - 16 inputs of 128 MiB - a sixteenth of 64 GiB.
  EXPECT_THAT(text, HasSubstr("train.recompute=blocks (about a third more work): about 58.00 GiB less"));
  EXPECT_THAT(text, Not(HasSubstr("precision=bf16")));
  EXPECT_THAT(text, HasSubstr("model.freeze: 7.00 GiB"));
}

TEST(MemoryAccount, SaysWhatOffloadWouldMoveAndWhatItHasMoved) {
  train::MemoryRequest asked = request();
  asked.offloadable = 6 * kGib;
  EXPECT_THAT(train::out_of_memory_text(account(), asked),
              HasSubstr("parallel.offload=optimizer (masters and moments in host memory, updates by the CPU): about "
                        "6.00 GiB less"));
  train::MemoryAccount offloaded = account();
  offloaded.masters = offloaded.moments = 0;
  offloaded.offloaded = 6 * kGib;
  const std::string text = train::out_of_memory_text(offloaded, request());
  EXPECT_THAT(text, HasSubstr("states 2.00 GiB (weights 1.00 GiB, gradients 1.00 GiB, fp32 masters 0.00 GiB, moments "
                              "0.00 GiB), 6.00 GiB in host memory"));
  EXPECT_THAT(text, Not(HasSubstr("parallel.offload")));
}

TEST(MemoryAccount, LeavesOutWhatIsOnAlready) {
  train::MemoryRequest asked = request();
  asked.recomputes = true;
  asked.narrow = false;
  const std::string text = train::out_of_memory_text(account(), asked);
  EXPECT_THAT(text, Not(HasSubstr("recompute")));
  EXPECT_THAT(text, HasSubstr("train.precision=bf16: about 32.00 GiB less"));
}

}  // namespace
}  // namespace txtsum::tests
