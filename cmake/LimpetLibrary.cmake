# limpet_precompile(name HEADERS <h> ... [DEPS library ...]): headers from outside the tree, read once for all targets that
# say target_precompile_headers(... REUSE_FROM name). Does nothing without LIMPET_PCH: other builds (dev) see to it that
# each file includes what it needs.
function(limpet_precompile name)
  cmake_parse_arguments(ARG "" "" "HEADERS;DEPS" ${ARGN})
  if(LIMPET_PCH)
    file(CONFIGURE OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/${name}.cc CONTENT "")
    add_library(${name} OBJECT ${CMAKE_CURRENT_BINARY_DIR}/${name}.cc)
    target_link_libraries(${name} PRIVATE limpet_flags ${ARG_DEPS})
    target_precompile_headers(${name} PRIVATE ${ARG_HEADERS})
  endif()
endfunction()

function(limpet_use_precompiled name from)
  if(LIMPET_PCH)
    target_precompile_headers(${name} REUSE_FROM ${from})
  endif()
endfunction()

# limpet_library(name SOURCES a.cc ... [DEPS other ...] [PRECOMPILED name]): one folder, one static library. A folder
# without sources of its own (headers only) becomes an interface library.
function(limpet_library name)
  cmake_parse_arguments(ARG "" "PRECOMPILED" "SOURCES;DEPS;PRIVATE_DEPS" ${ARGN})
  if(NOT ARG_PRECOMPILED)
    set(ARG_PRECOMPILED limpet_pch)
  endif()
  if(ARG_SOURCES)
    add_library(${name} STATIC ${ARG_SOURCES})
    target_link_libraries(${name} PUBLIC limpet_flags ${ARG_DEPS} PRIVATE ${ARG_PRIVATE_DEPS})
    limpet_use_precompiled(${name} ${ARG_PRECOMPILED})
  else()
    add_library(${name} INTERFACE)
    target_link_libraries(${name} INTERFACE limpet_flags ${ARG_DEPS})
  endif()
endfunction()

# What MemorySanitizer cannot see (see the file).
function(limpet_msan_boundary name)
  if(LIMPET_SANITIZE STREQUAL "memory")
    target_sources(${name} PRIVATE ${CMAKE_SOURCE_DIR}/tests/support/msan_boundary.cc)
    target_link_libraries(${name} PRIVATE pcre2-8 sodium crypto)
  endif()
endfunction()

# limpet_test(name SOURCES a_test.cc ... DEPS library ...): one GoogleTest binary and its ctest entry.
function(limpet_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;DEPS" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  add_executable(${name} ${ARG_SOURCES})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  target_link_libraries(${name} PRIVATE limpet_flags ${ARG_DEPS} GTest::gmock_main)
  limpet_use_precompiled(${name} limpet_test_pch)
  limpet_msan_boundary(${name})
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT ${ARG_TIMEOUT})
endfunction()
