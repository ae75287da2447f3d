# Tests of the scripts. The first three need Python 3's standard library alone.
find_package(Python3 REQUIRED COMPONENTS Interpreter)
foreach(name check_layers debian_synopses aclsum)
  add_test(NAME scripts_${name} COMMAND Python3::Interpreter "${CMAKE_CURRENT_LIST_DIR}/scripts_${name}_test.py")
  set_tests_properties(scripts_${name} PROPERTIES LABELS cli TIMEOUT 120)
endforeach()
add_test(NAME scripts_datasets_to_jsonl COMMAND bash "${CMAKE_CURRENT_LIST_DIR}/with_test_python.sh" datasets
         "${CMAKE_CURRENT_LIST_DIR}/scripts_datasets_to_jsonl_test.py")
set_tests_properties(scripts_datasets_to_jsonl PROPERTIES LABELS cli TIMEOUT 300 SKIP_RETURN_CODE 77)
