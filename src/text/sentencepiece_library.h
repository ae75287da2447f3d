#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace txtsum::text {

/// One model in the SentencePiece library. Const functions may be called from several threads at once.
///
/// The library is opened when the first model is made, and not linked: it and LibTorch's libc10 both define a variable
/// FLAGS_minloglevel, of 32 bytes in the one and of 4 in the other. In a program that links both, the loader makes the
/// two one, and the library's constructor writes over libc10's settings (measured with Debian 12's libsentencepiece0
/// 0.1.97). Debian has no static library, whose symbols could be hidden. Opened with RTLD_DEEPBIND, the library sees
/// its own variable and nobody else does.
class SentencePieceModel {
 public:
  /// `model` is a serialized model; `path` is named in errors. Throws DataError when the library refuses it, and
  /// EnvironmentError when there is no library.
  SentencePieceModel(const std::string& model, const std::string& path);

  /// The most probable pieces of `text`; neighbouring unknown characters are one piece.
  std::vector<std::string> encode(std::string_view text) const;

 private:
  std::shared_ptr<const void> processor_;
};

}  // namespace txtsum::text
