#include "arrow_library.h"

#include <dlfcn.h>

#include "record_format.h"
#include "txtsum/core/file.h"

namespace txtsum::data {
namespace {

constexpr const char* kModule = "libtxtsum_arrow.so";

struct Module {
  OpenArrowFile open = nullptr;
  std::string problem;

  // Found beside the program (its run path has $ORIGIN), in the build folder, or where the system's loader looks. What
  // it loads is kept local: neither its names nor LibTorch's serve the other.
  Module() {
    void* handle = dlopen(kModule, RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr) {
      const char* reason = dlerror();
      problem = std::string("its module cannot be opened (") + (reason ? reason : kModule) +
                "): run scripts/setup.sh, which installs Arrow, and build again; a program that is carried elsewhere "
                "needs " +
                kModule + " beside it";
      return;
    }
    open = reinterpret_cast<OpenArrowFile>(dlsym(handle, kOpenArrowFile));
    if (open == nullptr) {
      problem = std::string(kModule) + " lacks " + kOpenArrowFile + ": it is of another txtsum; build both together";
    }
  }
};

const Module& module() {
  static const Module instance;
  return instance;
}

}  // namespace

std::unique_ptr<ArrowFile> open_arrow_file(const std::string& path) {
  if (core::MappedFile(path).size() == 0) throw core::DataError(path + ": the file is empty");
  if (module().open == nullptr) throw core::DataError(path + ": reading it needs Arrow, and " + module().problem);
  return with_path_in_errors(path, [&] { return module().open(path, ending_of(path) == ".parquet"); });
}

}  // namespace txtsum::data
