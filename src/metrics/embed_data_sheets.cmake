# Turns the dated data sheets in configs/ into a source file, so that the binary knows them wherever it is started.
# Sets DATA_SHEETS_SOURCE. The sheets stay the one place of these facts; a changed or new sheet configures the build again.

set(DATA_SHEETS_SOURCE "${CMAKE_CURRENT_BINARY_DIR}/data_sheets.cpp")
set(_sheets "")
foreach(topic carbon prices devices)
  file(GLOB _files CONFIGURE_DEPENDS RELATIVE "${PROJECT_SOURCE_DIR}" "${PROJECT_SOURCE_DIR}/configs/${topic}/*.json")
  foreach(file IN LISTS _files)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/${file}")
    file(READ "${PROJECT_SOURCE_DIR}/${file}" _text)
    string(APPEND _sheets "    {\"${topic}\", \"${file}\", R\"json(${_text})json\"},\n")
  endforeach()
endforeach()
file(CONFIGURE OUTPUT "${DATA_SHEETS_SOURCE}" CONTENT [[// Made from configs/*/*.json when the build was configured.
#include "metrics/data_sheets.h"

namespace txtsum::metrics {

const std::vector<EmbeddedSheet>& embedded_sheets() {
  static const std::vector<EmbeddedSheet> sheets = {
@_sheets@  };
  return sheets;
}

}  // namespace txtsum::metrics
]] @ONLY)
