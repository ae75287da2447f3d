// Linked with LibTorch, whose libc10 has a variable of the same name and another type as the SentencePiece library.
#include <gtest/gtest.h>

#include "txtsum/core/error.h"
#include "txtsum/text/tokenizer.h"
#include "unigram_folder.h"

extern int FLAGS_minloglevel;
extern bool FLAGS_caffe2_use_fatal_for_enforce;  // What follows it in memory.

namespace txtsum::text {
namespace {

TEST(SentencePieceLibrary, LeavesTheSettingsOfLibTorchAlone) {
  const int level = FLAGS_minloglevel;
  const bool fatal = FLAGS_caffe2_use_fatal_for_enforce;
  EXPECT_LT(std::abs(level), 10) << "overwritten before the library was opened: is it linked?";
  const tests::TemporaryFolder folder;
  tests::write_unigram_folder(folder, "t5");
#if defined(__SANITIZE_ADDRESS__)
  EXPECT_THROW(Tokenizer::load(folder.path()), core::EnvironmentError);
#else
  EXPECT_GT(Tokenizer::load(folder.path())->encode("some text").size(), 1u);
#endif
  EXPECT_EQ(FLAGS_minloglevel, level);
  EXPECT_EQ(FLAGS_caffe2_use_fatal_for_enforce, fatal);
}

}  // namespace
}  // namespace txtsum::text
