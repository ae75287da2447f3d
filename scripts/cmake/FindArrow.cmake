# Imported target for Apache Arrow as scripts/setup.sh lays it out:
#
#   Arrow::parquet   headers, libarrow and libparquet. Only the module that reads Arrow and Parquet files is linked with
#                    it; the program opens the module when it needs it

set(_arrow_root "${TXTSUM_LIBTORCH}/arrow")
find_path(Arrow_INCLUDE_DIR arrow/api.h PATHS "${_arrow_root}/include" NO_DEFAULT_PATH)
# The wheel has the libraries under their versioned names alone.
file(GLOB _arrow_library LIST_DIRECTORIES false "${_arrow_root}/lib/libarrow.so.*")
file(GLOB _parquet_library LIST_DIRECTORIES false "${_arrow_root}/lib/libparquet.so.*")
set(Arrow_LIBRARY "${_arrow_library}")
set(Arrow_PARQUET_LIBRARY "${_parquet_library}")
if(Arrow_INCLUDE_DIR)
  file(STRINGS "${Arrow_INCLUDE_DIR}/arrow/util/config.h" _arrow_version REGEX "^#define ARROW_VERSION_STRING")
  string(REGEX MATCH "[0-9]+\\.[0-9]+\\.[0-9]+" Arrow_VERSION "${_arrow_version}")
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Arrow
  REQUIRED_VARS Arrow_LIBRARY Arrow_PARQUET_LIBRARY Arrow_INCLUDE_DIR
  VERSION_VAR Arrow_VERSION
  REASON_FAILURE_MESSAGE "Arrow and Parquet files will not be read. scripts/setup.sh installs it")

if(Arrow_FOUND AND NOT TARGET Arrow::parquet)
  add_library(Arrow::arrow SHARED IMPORTED)
  set_target_properties(Arrow::arrow PROPERTIES
    IMPORTED_LOCATION "${Arrow_LIBRARY}"
    INTERFACE_INCLUDE_DIRECTORIES "${Arrow_INCLUDE_DIR}")
  add_library(Arrow::parquet SHARED IMPORTED)
  set_target_properties(Arrow::parquet PROPERTIES
    IMPORTED_LOCATION "${Arrow_PARQUET_LIBRARY}"
    INTERFACE_LINK_LIBRARIES Arrow::arrow)
endif()
