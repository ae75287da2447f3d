# The files of azureml/, where TXTSUM_TEST_PYTHON names a Python that has tests/cli/requirements.txt.
add_test(NAME azureml
  COMMAND "${PROJECT_SOURCE_DIR}/tests/cli/with_test_python.sh" azure.ai.ml
          "${PROJECT_SOURCE_DIR}/tests/cli/azureml_test.py" "${PROJECT_SOURCE_DIR}" "${CMAKE_BINARY_DIR}/txtsum")
set_tests_properties(azureml PROPERTIES LABELS cli TIMEOUT 300 SKIP_RETURN_CODE 77)
