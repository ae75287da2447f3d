# Tests of the program as a user runs it; Python 3's standard library alone.
add_test(NAME train_command COMMAND Python3::Interpreter "${CMAKE_CURRENT_LIST_DIR}/train_test.py" "${PROJECT_SOURCE_DIR}"
                                    $<TARGET_FILE:txtsum>)
set_tests_properties(train_command PROPERTIES LABELS cli TIMEOUT 600)
