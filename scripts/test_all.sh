#!/usr/bin/env bash
# Everything that can be tested without a GPU; takes hours on two cores. What a change must pass is scripts/test.sh alone.
#   scripts/test_all.sh            all parts
#   scripts/test_all.sh PART ...   these: test cpu-asan emulated emulated-tsan cuda ptxas mutants
# cuda and ptxas (every architecture) need nvcc; without it they are passed over, and the last lines say so.
set -euo pipefail
cd "$(dirname "$0")/.."

all=(test cpu-asan emulated emulated-tsan cuda ptxas mutants)
case ${1:-} in -h|--help) sed -n '2,5s/^# \{0,1\}//p' "$0"; exit 0 ;; esac
parts=("$@")
[ ${#parts[@]} -gt 0 ] || parts=("${all[@]}")
for part in "${parts[@]}"; do
  case " ${all[*]} " in
    *" $part "*) ;;
    *) echo "scripts/test_all.sh: unknown part '$part'; there are: ${all[*]}" >&2; exit 2 ;;
  esac
done
launcher=()
if command -v ccache >/dev/null; then launcher=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache -DCMAKE_CUDA_COMPILER_LAUNCHER=ccache); fi
skipped=()

has_nvcc() { command -v nvcc >/dev/null || [ -x "${CUDA_HOME:-/usr/local/cuda}/bin/nvcc" ]; }

# build PRESET [ARGUMENT ...]: everything of it, or what cmake's arguments say.
build() {
  cmake --preset "$1" "${launcher[@]}"
  cmake --build "build/$1" -j "$(nproc)" "${@:2}"
}

for part in "${parts[@]}"; do
  echo "== $part"
  case $part in
    test) scripts/test.sh ;;
    cpu-asan|emulated)  # the two halves of what test.sh runs in one
      build "$part"
      ctest --preset "$part" ;;
    emulated-tsan)
      # The kernels' own tests, and the CPU's threads. Without the planted races; a test among the rest expects that one
      # is reported.
      build emulated-tsan --target kagami_tests
      build/emulated-tsan/tests/kagami_tests --gtest_brief=1 \
        --gtest_filter='*Cuda.*:*Cuda/*:Ptx*:Emulator*:Transfer*:ThreadPool*:Parallel*:Conv2dWays*-EmulatorDefects.*:PretrainCuda.*:SimClrCuda.*' ;;
    cuda|ptxas)
      if ! has_nvcc; then
        skipped+=("$part: no nvcc")
      elif [ "$part" = ptxas ]; then
        scripts/check_ptxas.sh --arch 80,86,89,90a
      else
        build cuda
        ctest --preset cuda
      fi ;;
    mutants) scripts/test_mutants.sh ;;
  esac
done
echo "scripts/test_all.sh: passed ${parts[*]}${skipped:+; not run: ${skipped[*]}}"
