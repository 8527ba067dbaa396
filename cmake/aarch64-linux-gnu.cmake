# Toolchain file: cross-compiles for 64-bit ARM with Debian's g++-aarch64-linux-gnu; programs run under qemu where it is
# installed. Libraries for that processor are looked for in CMAKE_PREFIX_PATH.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)
find_program(KAGAMI_QEMU NAMES qemu-aarch64-static qemu-aarch64)
if(KAGAMI_QEMU)
  set(CMAKE_CROSSCOMPILING_EMULATOR ${KAGAMI_QEMU} -L /usr/aarch64-linux-gnu)
endif()
