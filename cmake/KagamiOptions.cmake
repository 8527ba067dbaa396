# Options, compiler flags and dependencies of every target.
option(KAGAMI_TESTS "Build the tests (GoogleTest)" ON)
option(KAGAMI_BENCH "Build the benchmarks where Google Benchmark is found" ON)
option(KAGAMI_SANITIZE "Address and undefined-behaviour sanitizers" OFF)
option(KAGAMI_WERROR "Warnings are errors" ON)
set(KAGAMI_CUDA auto CACHE STRING "CUDA back end: auto, off")
set_property(CACHE KAGAMI_CUDA PROPERTY STRINGS auto off)
if(NOT KAGAMI_CUDA MATCHES "^(auto|off)$")
  message(FATAL_ERROR "KAGAMI_CUDA=${KAGAMI_CUDA}: this version has the CPU back end only; use auto or off")
endif()

# One interface target carries what all code is compiled with.
add_library(kagami_flags INTERFACE)
target_compile_options(kagami_flags INTERFACE $<BUILD_INTERFACE:-Wall> $<BUILD_INTERFACE:-Wextra>
                       $<BUILD_INTERFACE:$<$<BOOL:${KAGAMI_WERROR}>:-Werror>>)
target_include_directories(kagami_flags INTERFACE $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}> $<INSTALL_INTERFACE:include/kagami>)
target_compile_features(kagami_flags INTERFACE cxx_std_20)
if(KAGAMI_SANITIZE)
  target_compile_options(kagami_flags INTERFACE -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -g)
  target_link_options(kagami_flags INTERFACE -fsanitize=address,undefined)
endif()

find_package(OpenMP REQUIRED COMPONENTS CXX)
find_package(Threads REQUIRED)
