# Tests of the program as a user runs it; Python 3's standard library alone.
foreach(name train commands bad_input launch ranks reports warnings)
  add_test(NAME cli_${name} COMMAND Python3::Interpreter "${CMAKE_CURRENT_LIST_DIR}/${name}_test.py"
                                    "${PROJECT_SOURCE_DIR}" $<TARGET_FILE:txtsum>)
  set_tests_properties(cli_${name} PROPERTIES LABELS cli TIMEOUT 600)
endforeach()
# The archive of a build for the CPU, with both modules.
if(TARGET txtsum_arrow AND TARGET txtsum_mpi AND NOT TXTSUM_WITH_CUDA AND NOT TXTSUM_SANITIZE)
  add_test(NAME cli_package COMMAND Python3::Interpreter "${CMAKE_CURRENT_LIST_DIR}/package_test.py"
                                    "${PROJECT_SOURCE_DIR}" "${CMAKE_BINARY_DIR}")
  set_tests_properties(cli_package PROPERTIES LABELS cli TIMEOUT 600)
endif()
