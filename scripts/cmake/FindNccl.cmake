# Imported target for NCCL, from scripts/setup.sh --cuda, a CUDA toolkit or the system:
#
#   Nccl::headers   nccl.h. The library itself is opened at run time: LibTorch's CUDA libraries have loaded theirs by then

find_path(Nccl_INCLUDE_DIR nccl.h
  PATHS "${TXTSUM_LIBTORCH}/nvidia/nccl/include" ${CUDAToolkit_INCLUDE_DIRS} NO_DEFAULT_PATH)
find_path(Nccl_INCLUDE_DIR nccl.h)
if(Nccl_INCLUDE_DIR)
  file(STRINGS "${Nccl_INCLUDE_DIR}/nccl.h" _nccl_numbers REGEX "^#define NCCL_(MAJOR|MINOR|PATCH) ")
  string(REGEX REPLACE "[^0-9;]" "" _nccl_numbers "${_nccl_numbers}")
  string(REPLACE ";" "." Nccl_VERSION "${_nccl_numbers}")
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Nccl
  REQUIRED_VARS Nccl_INCLUDE_DIR
  VERSION_VAR Nccl_VERSION
  REASON_FAILURE_MESSAGE "run scripts/setup.sh --cuda")

if(Nccl_FOUND AND NOT TARGET Nccl::headers)
  add_library(Nccl::headers INTERFACE IMPORTED)
  set_target_properties(Nccl::headers PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${Nccl_INCLUDE_DIR}")
  target_link_libraries(Nccl::headers INTERFACE CUDA::cudart)
endif()
