# Language level, warnings and the build's switches, for every target of the tree.
option(LIMPET_TESTS "Build the tests" ON)
option(LIMPET_WERROR "Treat warnings as errors" OFF)
option(LIMPET_LTO "Link-time optimisation" OFF)
option(LIMPET_PCH "Read the standard library's headers once, not once for each file" OFF)
option(LIMPET_FUZZ "Build the fuzz targets as libFuzzer programs (clang)" OFF)
set(LIMPET_FOLDERS base proto shm conf worker master CACHE STRING "Folders to build: with what they need below them")
set(LIMPET_SANITIZE "" CACHE STRING "Sanitizers for -fsanitize=, e.g. address,undefined")

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})

# Everything ends in executables: -fPIE, unlike the -fPIC that CMake would choose, lets the compiler inline and call
# functions of the same library directly.
add_compile_options(-fPIE)
# A release needs line numbers in its backtraces; types and local variables, which are most of what -g writes, are for
# the dev preset.
string(REPLACE "-g " "-g1 " CMAKE_CXX_FLAGS_RELWITHDEBINFO "${CMAKE_CXX_FLAGS_RELWITHDEBINFO}")

find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
endif()
find_program(MOLD mold)
if(MOLD)
  add_link_options(-fuse-ld=mold)
endif()

add_library(limpet_flags INTERFACE)
target_include_directories(limpet_flags INTERFACE ${CMAKE_SOURCE_DIR})
# Of precompiled headers GCC 12 forgets that they are the system's, and warns of what it suspects in std::string.
target_compile_options(limpet_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wold-style-cast -Wnon-virtual-dtor
  -Wno-missing-field-initializers
  $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>
  $<$<AND:$<CXX_COMPILER_ID:GNU>,$<BOOL:${LIMPET_PCH}>>:-Wno-stringop-overflow$<SEMICOLON>-Wno-array-bounds>
  $<$<BOOL:${LIMPET_WERROR}>:-Werror>)
target_compile_definitions(limpet_flags INTERFACE LIMPET_VERSION="${PROJECT_VERSION}")

if(LIMPET_SANITIZE)
  add_compile_options(-fsanitize=${LIMPET_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=undefined)
  add_link_options(-fsanitize=${LIMPET_SANITIZE})
endif()
# MemorySanitizer wants every library instrumented. fmt, GoogleTest (GoogleTestFromSource.cmake) and the templates of the
# standard library can be compiled in; for what is left see msan_ignore.txt and tests/support/msan_boundary.cc.
if(LIMPET_SANITIZE STREQUAL "memory")
  add_compile_options(-fsanitize-memory-track-origins -fsanitize-ignorelist=${CMAKE_SOURCE_DIR}/cmake/msan_ignore.txt
                      "$<$<COMPILE_LANGUAGE:CXX>:SHELL:-include ${CMAKE_SOURCE_DIR}/cmake/msan_templates.h>")
  add_compile_definitions(FMT_HEADER_ONLY)
endif()
if(LIMPET_LTO AND NOT LIMPET_SANITIZE)
  set(CMAKE_INTERPROCEDURAL_OPTIMIZATION_RELWITHDEBINFO ON)
endif()
