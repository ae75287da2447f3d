# What every target of the project shares, and the one function that declares a layer.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()

find_program(TXTSUM_CCACHE ccache)
if(TXTSUM_CCACHE)
  # A precompiled header is cached by content; its time stamps and macros must not spoil the lookup.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
      CCACHE_SLOPPINESS=pch_defines,time_macros
      CCACHE_DEPEND=true ${TXTSUM_CCACHE})
endif()

add_library(txtsum_flags INTERFACE)
target_include_directories(txtsum_flags INTERFACE "${PROJECT_SOURCE_DIR}/include" "${PROJECT_SOURCE_DIR}/src")
# -fPIC also for programs, so that they can share the precompiled header of the libraries. at::parallel_for lives in a header and runs serially in a file compiled without OpenMP.
set(_openmp -fopenmp)
if(TXTSUM_FUZZ)
  set(_openmp "")  # Clang's would be another than the wheel's; parsers use none
endif()
target_compile_options(txtsum_flags INTERFACE -fPIC ${_openmp} -Wall -Wextra -Wshadow -Wnon-virtual-dtor)
target_link_options(txtsum_flags INTERFACE ${_openmp})
if(TXTSUM_FUZZ)
  target_compile_options(txtsum_flags INTERFACE -fsanitize=fuzzer-no-link)
  target_compile_definitions(txtsum_flags INTERFACE _GLIBCXX_ASSERTIONS)
endif()
if(TXTSUM_WARNINGS_AS_ERRORS)
  target_compile_options(txtsum_flags INTERFACE -Werror)
endif()
if(TXTSUM_SANITIZE)
  target_compile_options(txtsum_flags INTERFACE -fsanitize=address,undefined -fno-sanitize-recover=undefined
                         -fno-omit-frame-pointer)
  # The sanitizer's dlopen is in a library of its own, for which a program's RUNPATH does not count; its RPATH does.
  target_link_options(txtsum_flags INTERFACE -fsanitize=address,undefined -Wl,--disable-new-dtags)
endif()

# One precompiled header serves every LibTorch source: it takes such a source from about 11 s to under 4 s.
function(txtsum_use_torch target)
  if(NOT TARGET txtsum_torch_pch)
    set(source "${CMAKE_BINARY_DIR}/torch_pch.cpp")
    file(CONFIGURE OUTPUT "${source}" CONTENT "// Compiled only to own the precompiled header.\n")
    add_library(txtsum_torch_pch STATIC "${source}")
    target_link_libraries(txtsum_torch_pch PUBLIC txtsum_flags LibTorch::torch)
    target_precompile_headers(txtsum_torch_pch PRIVATE
      <ATen/ATen.h> <torch/csrc/autograd/generated/variable_factories.h> <torch/csrc/autograd/custom_function.h>
      <functional> <map> <memory> <string> <vector>)
  endif()
  target_link_libraries(${target} PUBLIC LibTorch::torch)
  target_precompile_headers(${target} REUSE_FROM txtsum_torch_pch)
endfunction()

# txtsum_layer(NAME SOURCES a.cpp ... [LAYERS core ...] [PRIVATE library ...] [TORCH])
# Declares the static library txtsum_NAME. LAYERS are the layers that it may include (scripts/check_layers.py holds it to
# them); PRIVATE are third-party libraries that its sources use and its headers do not.
function(txtsum_layer name)
  cmake_parse_arguments(arg "TORCH" "" "SOURCES;LAYERS;PRIVATE" ${ARGN})
  add_library(txtsum_${name} STATIC ${arg_SOURCES})
  target_link_libraries(txtsum_${name} PUBLIC txtsum_flags)
  foreach(layer IN LISTS arg_LAYERS)
    target_link_libraries(txtsum_${name} PUBLIC txtsum_${layer})
  endforeach()
  target_link_libraries(txtsum_${name} PRIVATE ${arg_PRIVATE})
  if(arg_TORCH)
    txtsum_use_torch(txtsum_${name})
  endif()
endfunction()

# txtsum_test(NAME SOURCES a.cpp ... LIBRARIES txtsum_x ... [LABEL unit] [TORCH])
# Declares one GoogleTest program and one CTest entry.
function(txtsum_test name)
  cmake_parse_arguments(arg "TORCH" "LABEL" "SOURCES;LIBRARIES" ${ARGN})
  add_executable(test_${name} ${arg_SOURCES})
  target_link_libraries(test_${name} PRIVATE ${arg_LIBRARIES} txtsum_flags GTest::gmock GTest::gtest_main)
  target_include_directories(test_${name} PRIVATE "${PROJECT_SOURCE_DIR}/tests")
  target_compile_definitions(test_${name} PRIVATE
    TXTSUM_SOURCE_DIR="${PROJECT_SOURCE_DIR}" TXTSUM_BINARY_DIR="${CMAKE_BINARY_DIR}")
  if(arg_TORCH)
    txtsum_use_torch(test_${name})
  endif()
  add_test(NAME ${name} COMMAND test_${name} --gtest_brief=1)
  if(NOT arg_LABEL)
    set(arg_LABEL unit)
  endif()
  set_tests_properties(${name} PROPERTIES LABELS ${arg_LABEL} TIMEOUT 900)
endfunction()
