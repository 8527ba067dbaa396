# Options, compiler flags and dependencies of every target.
option(KAGAMI_TESTS "Build the tests (GoogleTest)" ON)
option(KAGAMI_BENCH "Build the benchmarks where Google Benchmark is found" ON)
option(KAGAMI_SANITIZE "Address and undefined-behaviour sanitizers" OFF)
option(KAGAMI_WERROR "Warnings are errors" ON)
set(KAGAMI_CUDA auto CACHE STRING "CUDA back end: auto, off, on (nvcc), emulated (on CPU fibers, for tests)")
set_property(CACHE KAGAMI_CUDA PROPERTY STRINGS auto off on emulated)
if(NOT KAGAMI_CUDA MATCHES "^(auto|off|on|emulated)$")
  message(FATAL_ERROR "KAGAMI_CUDA=${KAGAMI_CUDA}: use auto, off, on or emulated")
endif()

# One interface target carries what all code is compiled with.
add_library(kagami_flags INTERFACE)
target_compile_options(kagami_flags INTERFACE $<BUILD_INTERFACE:-Wall> $<BUILD_INTERFACE:-Wextra>
                       $<BUILD_INTERFACE:$<$<BOOL:${KAGAMI_WERROR}>:-Werror>>)
target_include_directories(kagami_flags INTERFACE $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}> $<INSTALL_INTERFACE:include/kagami>)
if(KAGAMI_CUDA STREQUAL emulated)
  target_compile_definitions(kagami_flags INTERFACE KAGAMI_HAS_CUDA=1 KAGAMI_EMULATED=1)
  # Device code has CUDA's pragmas; frames of fibers must touch every page of their stack.
  target_compile_options(kagami_flags INTERFACE -Wno-unknown-pragmas -Wno-psabi -fstack-clash-protection -fno-omit-frame-pointer)
endif()
target_compile_features(kagami_flags INTERFACE cxx_std_20)
if(KAGAMI_SANITIZE)
  target_compile_options(kagami_flags INTERFACE -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -g)
  target_link_options(kagami_flags INTERFACE -fsanitize=address,undefined)
  if(KAGAMI_CUDA STREQUAL emulated)
    target_compile_definitions(kagami_flags INTERFACE KAGAMI_ASAN=1)  # the emulator tells them of its fibers
  endif()
endif()

find_package(OpenMP REQUIRED COMPONENTS CXX)
find_package(Threads REQUIRED)
