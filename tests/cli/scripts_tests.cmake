# Tests of the scripts: Python 3's standard library alone.
find_package(Python3 REQUIRED COMPONENTS Interpreter)
foreach(name check_layers debian_synopses)
  add_test(NAME scripts_${name} COMMAND Python3::Interpreter "${CMAKE_CURRENT_LIST_DIR}/scripts_${name}_test.py")
  set_tests_properties(scripts_${name} PROPERTIES LABELS cli TIMEOUT 120)
endforeach()
