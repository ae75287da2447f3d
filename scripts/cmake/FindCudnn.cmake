# Imported target for cuDNN as scripts/setup.sh --cuda lays it out:
#
#   Cudnn::frontend   the headers that make cuDNN's graphs. The library itself is opened at run time: LibTorch's CUDA
#                     libraries have loaded it by then

find_path(Cudnn_FRONTEND_INCLUDE_DIR cudnn_frontend.h
  PATHS "${TXTSUM_LIBTORCH}/cudnn_frontend/include" NO_DEFAULT_PATH)
find_path(Cudnn_INCLUDE_DIR cudnn.h PATHS "${TXTSUM_LIBTORCH}/nvidia/cudnn/include" NO_DEFAULT_PATH)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Cudnn
  REQUIRED_VARS Cudnn_INCLUDE_DIR Cudnn_FRONTEND_INCLUDE_DIR
  REASON_FAILURE_MESSAGE "run scripts/setup.sh --cuda")

if(Cudnn_FOUND AND NOT TARGET Cudnn::frontend)
  add_library(Cudnn::frontend INTERFACE IMPORTED)
  set_target_properties(Cudnn::frontend PROPERTIES
    INTERFACE_INCLUDE_DIRECTORIES "${Cudnn_FRONTEND_INCLUDE_DIR};${Cudnn_INCLUDE_DIR}")
  target_link_libraries(Cudnn::frontend INTERFACE CUDA::cudart ${CMAKE_DL_LIBS})
endif()
