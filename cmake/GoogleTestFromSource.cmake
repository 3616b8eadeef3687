# GoogleTest as MemorySanitizer needs it: instrumented, and so compiled here, from the sources that Debian's libgtest-dev brings
# along. The headers are the installed ones.
find_package(Threads REQUIRED)
find_path(GOOGLETEST_SOURCE googletest/src/gtest-all.cc PATHS /usr/src/googletest NO_DEFAULT_PATH REQUIRED)

add_library(gmock STATIC ${GOOGLETEST_SOURCE}/googletest/src/gtest-all.cc ${GOOGLETEST_SOURCE}/googlemock/src/gmock-all.cc)
target_include_directories(gmock PRIVATE ${GOOGLETEST_SOURCE}/googletest ${GOOGLETEST_SOURCE}/googlemock)
target_link_libraries(gmock PUBLIC Threads::Threads)
add_library(GTest::gmock ALIAS gmock)

add_library(gmock_main STATIC ${GOOGLETEST_SOURCE}/googlemock/src/gmock_main.cc)
target_link_libraries(gmock_main PUBLIC gmock)
add_library(GTest::gmock_main ALIAS gmock_main)
