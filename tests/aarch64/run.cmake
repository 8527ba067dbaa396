# cmake -DWORK=build folder, kept between runs -DGENERATOR=... -P run.cmake
# Cross-compiles the kernels and their tests and runs them under qemu. Prints "skipped: " and why where it cannot.
find_program(compiler aarch64-linux-gnu-g++)
find_program(qemu NAMES qemu-aarch64-static qemu-aarch64)
find_path(gtest_source CMakeLists.txt PATHS /usr/src/googletest NO_DEFAULT_PATH)
if(NOT compiler OR NOT qemu OR NOT gtest_source)
  message(STATUS "skipped: needs Debian's packages g++-aarch64-linux-gnu, qemu-user-static and libgtest-dev")
  return()
endif()

include(${CMAKE_CURRENT_LIST_DIR}/../run_command.cmake)

run(${CMAKE_COMMAND} -S ${CMAKE_CURRENT_LIST_DIR} -B ${WORK} -G ${GENERATOR} -DCMAKE_BUILD_TYPE=Release
    -DCMAKE_TOOLCHAIN_FILE=${CMAKE_CURRENT_LIST_DIR}/../../cmake/aarch64-linux-gnu.cmake
    -DCMAKE_CXX_COMPILER_LAUNCHER=${LAUNCHER} -DKAGAMI_GTEST_SOURCE=${gtest_source})
run(${CMAKE_COMMAND} --build ${WORK})
# Half a minute of double loops under the emulator; Shapes/Conv2d has smaller cases of the same kernels.
run(${qemu} -L /usr/aarch64-linux-gnu ${WORK}/kernel_tests --gtest_brief=1 --gtest_filter=-Conv2dWays.*)
