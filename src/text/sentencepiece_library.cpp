#include "text/sentencepiece_library.h"

#include <dlfcn.h>
#include <sentencepiece_processor.h>

#include <new>

#include "txtsum/core/check.h"
#include "txtsum/core/error.h"

namespace txtsum::text {
namespace {

using Processor = sentencepiece::SentencePieceProcessor;
using Status = sentencepiece::util::Status;

#if defined(__SANITIZE_ADDRESS__)
constexpr bool kCanBindDeep = false;  // The sanitizer's runtime ends the program at RTLD_DEEPBIND.
#else
constexpr bool kCanBindDeep = true;
#endif

// The functions that are not reached through the class's virtual table.
struct Library {
  void (*construct)(void* processor);
  void (*destroy_status)(Status* status);

  Library() {
    const char* const name = "libsentencepiece.so.0";
    if (!kCanBindDeep && dlsym(RTLD_DEFAULT, "FLAGS_minloglevel") != nullptr) {
      throw core::EnvironmentError(std::string(name) +
                                   " cannot be opened beside LibTorch in a build with sanitizers; " +
                                   "use another build for models with a spiece.model");
    }
    void* handle = dlopen(name, RTLD_NOW | RTLD_LOCAL | (kCanBindDeep ? RTLD_DEEPBIND : 0));
    if (handle == nullptr) {
      const char* reason = dlerror();
      throw core::EnvironmentError(std::string("a spiece.model needs the SentencePiece library, and it cannot be ") +
                                   "opened (" + (reason ? reason : name) +
                                   "): install the distribution's package libsentencepiece0");
    }
    const auto find = [&](const char* symbol) {
      void* address = dlsym(handle, symbol);
      if (address == nullptr) {
        throw core::EnvironmentError(std::string(name) + " lacks " + symbol +
                                     ": install the libsentencepiece0 of the distribution that txtsum was built on");
      }
      return address;
    };
    construct = reinterpret_cast<void (*)(void*)>(find("_ZN13sentencepiece22SentencePieceProcessorC1Ev"));
    destroy_status = reinterpret_cast<void (*)(Status*)>(find("_ZN13sentencepiece4util6StatusD1Ev"));
    // It tells about every model on standard error otherwise.
    constexpr int kErrorsOnly = 2;
    reinterpret_cast<void (*)(int)>(find("_ZN13sentencepiece7logging14SetMinLogLevelEi"))(kErrorsOnly);
  }
};

const Library& library() {
  static const Library instance;
  return instance;
}

// Whether `call` succeeds. Its status is built in place, so that nothing here calls Status's destructor, which only the
// library has.
template <typename Call>
bool succeeds(const Call& call) {
  alignas(Status) unsigned char storage[sizeof(Status)];
  auto* status = new (storage) Status(call());
  const bool ok = status->ok();
  library().destroy_status(status);
  return ok;
}

struct DestroyProcessor {
  void operator()(Processor* processor) const {
    processor->~Processor();
    ::operator delete(processor);
  }
};

}  // namespace

SentencePieceModel::SentencePieceModel(const std::string& model, const std::string& path) {
  void* memory = ::operator new(sizeof(Processor));
  try {
    library().construct(memory);
  } catch (...) {
    ::operator delete(memory);
    throw;
  }
  const std::shared_ptr<Processor> processor(static_cast<Processor*>(memory), DestroyProcessor());
  if (!succeeds([&] { return processor->LoadFromSerializedProto(model); })) {
    throw core::DataError(path + ": the SentencePiece library refuses the model of its pieces");
  }
  processor_ = processor;
}

std::vector<std::string> SentencePieceModel::encode(std::string_view text) const {
  const auto* processor = static_cast<const Processor*>(processor_.get());
  std::vector<std::string> pieces;
  const bool ok = succeeds([&] { return processor->Encode(text, &pieces); });
  TXTSUM_CHECK(ok, "the SentencePiece library could not cut a text of " + std::to_string(text.size()) + " bytes");
  return pieces;
}

}  // namespace txtsum::text
