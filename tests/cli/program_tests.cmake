# Tests of the program as a user runs it; Python 3's standard library alone.
foreach(name train commands launch ranks warnings)
  add_test(NAME cli_${name} COMMAND Python3::Interpreter "${CMAKE_CURRENT_LIST_DIR}/${name}_test.py"
                                    "${PROJECT_SOURCE_DIR}" $<TARGET_FILE:txtsum>)
  set_tests_properties(cli_${name} PROPERTIES LABELS cli TIMEOUT 600)
endforeach()
