# vqcodec_add_library(NAME SOURCES a.cc ... [PUBLIC_DEPS ...] [PRIVATE_DEPS ...])
# makes the static library vqcodec_NAME with the alias vqcodec::NAME. Headers are
# included from the root of the project: #include "codec/range_coder.h".
function(vqcodec_add_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;PUBLIC_DEPS;PRIVATE_DEPS" ${ARGN})
  add_library(vqcodec_${name} STATIC ${ARG_SOURCES})
  add_library(vqcodec::${name} ALIAS vqcodec_${name})
  set_target_properties(vqcodec_${name} PROPERTIES EXPORT_NAME ${name})
  set_property(GLOBAL APPEND PROPERTY VQCODEC_LIBRARIES vqcodec_${name})
  target_include_directories(vqcodec_${name} PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>
    $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/vqcodec>)
  target_compile_features(vqcodec_${name} PUBLIC cxx_std_20)
  target_link_libraries(vqcodec_${name} PUBLIC ${ARG_PUBLIC_DEPS} PRIVATE ${ARG_PRIVATE_DEPS})
  vqcodec_set_flags(vqcodec_${name})
endfunction()

# Flags that every target of the project has. No contraction and no fast-math:
# the runtime's results must not depend on the compiler's mood (docs/ARCHITECTURE.md).
function(vqcodec_set_flags target)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wshadow -Wconversion
    -Wno-sign-conversion -ffp-contract=off)
  if(VQCODEC_WERROR)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
  if(VQCODEC_SANITIZE)
    target_compile_options(${target} PRIVATE -fsanitize=${VQCODEC_SANITIZE} -fno-omit-frame-pointer
      -fno-sanitize-recover=all)
    target_link_options(${target} PUBLIC -fsanitize=${VQCODEC_SANITIZE})
    # GCC's guess is wrong in instrumented code of its own library (std::regex).
    target_compile_options(${target} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
  endif()
endfunction()

# vqcodec_add_program(NAME SOURCES ... DEPS ...): a program in <build>/bin.
function(vqcodec_add_program name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  set_property(GLOBAL APPEND PROPERTY VQCODEC_PROGRAMS ${name})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS})
  vqcodec_set_flags(${name})
endfunction()

# vqcodec_add_torch_bench(NAME SOURCE DEPS ...): a program in <build>/bin that sees LibTorch, compiled like vqcodec_train,
# whose precompiled header it shares.
function(vqcodec_add_torch_bench name source)
  add_library(${name}_objects OBJECT ${source})
  target_link_libraries(${name}_objects PRIVATE ${ARGN} torch)
  vqcodec_set_flags(${name}_objects)
  target_compile_options(${name}_objects PRIVATE -Wno-conversion -Wno-shadow -Wno-pedantic)
  target_precompile_headers(${name}_objects REUSE_FROM vqcodec_train)
  add_executable(${name} $<TARGET_OBJECTS:${name}_objects>)
  target_link_libraries(${name} PRIVATE ${ARGN} torch)
endfunction()

# vqcodec_add_test(NAME SOURCES ... DEPS ... [TIMEOUT seconds]): a GoogleTest program, one ctest entry a test
# program. Tests run in <build>/tests with VQCODEC_SOURCE_DIR set to the source tree.
function(vqcodec_add_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;DEPS" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  add_executable(${name} ${ARG_SOURCES})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} GTest::gtest GTest::gmock GTest::gtest_main)
  vqcodec_set_flags(${name})
  add_test(NAME ${name} COMMAND ${name} WORKING_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
  set_tests_properties(${name} PROPERTIES TIMEOUT ${ARG_TIMEOUT}
    ENVIRONMENT "VQCODEC_SOURCE_DIR=${PROJECT_SOURCE_DIR};VQCODEC_BIN_DIR=${VQCODEC_BIN_DIR}")
endfunction()

# vqcodec_add_fuzzer(NAME SOURCES ... DEPS ...): a libFuzzer program in <build>/fuzz.
function(vqcodec_add_fuzzer name)
  if(NOT VQCODEC_BUILD_FUZZERS)
    return()
  endif()
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/fuzz)
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS})
  vqcodec_set_flags(${name})
  target_link_options(${name} PRIVATE -fsanitize=fuzzer,address,undefined)
endfunction()
