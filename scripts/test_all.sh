#!/usr/bin/env bash
# Everything that can be tested without a GPU; takes hours on two cores. What a change must pass is scripts/test.sh alone.
#   scripts/test_all.sh            all parts
#   scripts/test_all.sh PART ...   these: test emulated-asan emulated-tsan cuda ptxas mutants
# cuda and ptxas (every architecture) need nvcc; without it they are passed over, and the last lines say so.
set -euo pipefail
cd "$(dirname "$0")/.."

all=(test emulated-asan emulated-tsan cuda ptxas mutants)
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
cuda_tests='*Cuda*:*Ptx*:Ops*:BatchNorm*:Conv*:Pool*'
skipped=()

has_nvcc() { command -v nvcc >/dev/null || [ -x "${CUDA_HOME:-/usr/local/cuda}/bin/nvcc" ]; }

# The emulated kernels under sanitizers.
emulated() {
  cmake --preset "$1" "${launcher[@]:0:1}"
  cmake --build "build/$1" -j "$(nproc)" --target kagami_tests
  "build/$1/tests/kagami_tests" --gtest_filter="$2" --gtest_brief=1
}

for part in "${parts[@]}"; do
  echo "== $part"
  case $part in
    test) scripts/test.sh ;;
    emulated-asan) emulated emulated-asan "$cuda_tests" ;;
    emulated-tsan) emulated emulated-tsan '*Cuda*:*Ptx*' ;;
    cuda|ptxas)
      if ! has_nvcc; then
        skipped+=("$part: no nvcc")
      elif [ "$part" = ptxas ]; then
        scripts/check_ptxas.sh --arch 80,86,89,90a
      else
        cmake --preset cuda "${launcher[@]}"
        cmake --build build/cuda -j "$(nproc)"
        ctest --preset cuda
      fi ;;
    mutants) scripts/test_mutants.sh ;;
  esac
done
echo "scripts/test_all.sh: passed ${parts[*]}${skipped:+; not run: ${skipped[*]}}"
