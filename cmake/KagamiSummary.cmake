# What is in this build, what was left out, and why: the last lines of configure.
message(STATUS "Kagami ${PROJECT_VERSION}: ${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION}, ${CMAKE_BUILD_TYPE}, ${CMAKE_SYSTEM_PROCESSOR}")
message(STATUS "  back ends   CPU (CUDA: not part of this version)")
message(STATUS "  sanitizers  ${KAGAMI_SANITIZE}")
message(STATUS "  tests       ${KAGAMI_TESTS}")
message(STATUS "  benchmarks  ${KAGAMI_BENCH_STATUS}")
