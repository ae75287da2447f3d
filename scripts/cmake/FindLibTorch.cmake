# Imported targets for the LibTorch that the PyTorch wheel carries. find_package(Torch) is not used: with a CUDA wheel it
# demands a CUDA toolkit even where only the CPU library is linked.
#
#   LibTorch::torch   headers, libtorch_cpu and libc10
#   LibTorch::cuda    libtorch_cuda and libc10_cuda, where TXTSUM_WITH_CUDA is on

set(_torch_root "${TXTSUM_LIBTORCH}/torch")
find_path(LibTorch_INCLUDE_DIR ATen/ATen.h PATHS "${_torch_root}/include" NO_DEFAULT_PATH)
find_library(LibTorch_CPU_LIBRARY torch_cpu PATHS "${_torch_root}/lib" NO_DEFAULT_PATH)
find_library(LibTorch_C10_LIBRARY c10 PATHS "${_torch_root}/lib" NO_DEFAULT_PATH)

set(LibTorch_VERSION "unknown")
if(EXISTS "${_torch_root}/version.py")
  file(STRINGS "${_torch_root}/version.py" _torch_version REGEX "^__version__")
  string(REGEX MATCH "[0-9]+\\.[0-9]+\\.[0-9]+[^']*" LibTorch_VERSION "${_torch_version}")
endif()

set(_torch_required LibTorch_CPU_LIBRARY LibTorch_C10_LIBRARY LibTorch_INCLUDE_DIR)
if(TXTSUM_WITH_CUDA)
  find_library(LibTorch_CUDA_LIBRARY torch_cuda PATHS "${_torch_root}/lib" NO_DEFAULT_PATH)
  find_library(LibTorch_C10_CUDA_LIBRARY c10_cuda PATHS "${_torch_root}/lib" NO_DEFAULT_PATH)
  list(APPEND _torch_required LibTorch_CUDA_LIBRARY LibTorch_C10_CUDA_LIBRARY)
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(LibTorch
  REQUIRED_VARS ${_torch_required}
  VERSION_VAR LibTorch_VERSION
  REASON_FAILURE_MESSAGE "run scripts/setup.sh, or set TXTSUM_LIBTORCH to a folder that holds torch/")

if(LibTorch_FOUND AND NOT TARGET LibTorch::torch)
  add_library(LibTorch::c10 SHARED IMPORTED)
  set_target_properties(LibTorch::c10 PROPERTIES IMPORTED_LOCATION "${LibTorch_C10_LIBRARY}")
  add_library(LibTorch::torch SHARED IMPORTED)
  set_target_properties(LibTorch::torch PROPERTIES
    IMPORTED_LOCATION "${LibTorch_CPU_LIBRARY}"
    INTERFACE_INCLUDE_DIRECTORIES
      "${LibTorch_INCLUDE_DIR};${LibTorch_INCLUDE_DIR}/torch/csrc/api/include"
    INTERFACE_LINK_LIBRARIES LibTorch::c10
    # libtorch_cpu of a CUDA wheel names libraries that only libtorch_cuda would use.
    INTERFACE_LINK_OPTIONS "-Wl,--allow-shlib-undefined")
endif()

if(LibTorch_FOUND AND TXTSUM_WITH_CUDA AND NOT TARGET LibTorch::cuda)
  add_library(LibTorch::c10_cuda SHARED IMPORTED)
  set_target_properties(LibTorch::c10_cuda PROPERTIES IMPORTED_LOCATION "${LibTorch_C10_CUDA_LIBRARY}")
  add_library(LibTorch::cuda INTERFACE IMPORTED)
  # libtorch_cuda registers its kernels when it is loaded; a linker that drops what is not named would drop it.
  target_link_libraries(LibTorch::cuda INTERFACE
    LibTorch::torch LibTorch::c10_cuda CUDA::cudart
    "-Wl,--no-as-needed,${LibTorch_CUDA_LIBRARY},--as-needed")
endif()
