#include "nccl_library.h"

#include <dlfcn.h>

#include "txtsum/core/error.h"

namespace txtsum::parallel {
namespace {

constexpr const char* kFile = "libnccl.so.2";

std::string version_text(int code) {
  return std::to_string(code / 10000) + "." + std::to_string(code / 100 % 100) + "." + std::to_string(code % 100);
}

template <typename Function>
void find(void* handle, const char* name, Function& function) {
  function = reinterpret_cast<Function>(dlsym(handle, name));
  if (function == nullptr) throw core::EnvironmentError(std::string(kFile) + " lacks " + name + ": it is too old");
}

std::string file_of(const void* function) {
  Dl_info where{};
  return dladdr(function, &where) != 0 && where.dli_fname != nullptr ? where.dli_fname : kFile;
}

NcclLibrary open_library() {
  // Of that name one is loaded already: this only counts it once more.
  void* handle = dlopen(kFile, RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    const char* reason = dlerror();
    throw core::EnvironmentError("ranks on GPUs exchange through NCCL, which cannot be opened (" +
                                 std::string(reason != nullptr ? reason : kFile) + "): run scripts/setup.sh --cuda");
  }
  NcclLibrary library{};
  decltype(&ncclGetVersion) get_version = nullptr;
  find(handle, "ncclGetVersion", get_version);
  find(handle, "ncclGetUniqueId", library.get_unique_id);
  find(handle, "ncclGetErrorString", library.get_error_string);
  find(handle, "ncclGetLastError", library.get_last_error);
  find(handle, "ncclCommInitRankConfig", library.comm_init_rank_config);
  find(handle, "ncclCommGetAsyncError", library.comm_get_async_error);
  find(handle, "ncclCommFinalize", library.comm_finalize);
  find(handle, "ncclCommDestroy", library.comm_destroy);
  find(handle, "ncclCommAbort", library.comm_abort);
  find(handle, "ncclReduceScatter", library.reduce_scatter);
  find(handle, "ncclAllGather", library.all_gather);
  find(handle, "ncclBroadcast", library.broadcast);
  library.file = file_of(reinterpret_cast<const void*>(library.comm_abort));
  int version = 0;
  if (get_version(&version) != ncclSuccess || version < NCCL_VERSION_CODE) {
    throw core::EnvironmentError(library.file + " is NCCL " + version_text(version) + ", older than " +
                                 version_text(NCCL_VERSION_CODE) + " that this program was built for");
  }
  library.version = version_text(version);
  return library;
}

}  // namespace

std::string NcclLibrary::error_text(ncclResult_t code) const {
  std::string text = std::string("NCCL: ") + get_error_string(code);
  const char* last = get_last_error(nullptr);
  if (last == nullptr || *last == '\0') return text;
  const std::string note = last;
  return text + " (" + note.substr(0, note.find('\n')) + ")";
}

const NcclLibrary& nccl_library() {
  static const NcclLibrary library = open_library();
  return library;
}

}  // namespace txtsum::parallel
