#!/usr/bin/env bash
# Builds everything and runs every test; needs about half an hour on two cores from a clean clone.
#   scripts/test.sh          tests under sanitizers, CUDA code on CPU fibers among them, then all of the optimised build
#   scripts/test.sh --quick  only the optimised build
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/dependencies.sh

quick=no
for argument in "$@"; do
  case $argument in
    --quick) quick=yes ;;
    -h|--help) sed -n '2,4s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "scripts/test.sh: unknown argument '$argument'; it takes --quick or nothing" >&2; exit 2 ;;
  esac
done

jobs=$(nproc)
kagami_need yes
launcher=()
if command -v ccache >/dev/null; then launcher=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache); fi

cmake --preset cpu -DKAGAMI_TESTS=ON -DKAGAMI_BENCH=ON "${launcher[@]}"
cmake --build build/cpu -j "$jobs"

if [ "$quick" = no ]; then
  # CUDA without a GPU or toolkit: the same kernels, compiled by the C++ compiler; every op case runs on them too.
  # Left out: whole networks against PyTorch, and what only takes time. Memory errors live in kernels, in the graph, in
  # readers of damaged files and in the program, whose tests are here. Most use one processor: several run at once.
  cmake --preset emulated-asan "${launcher[@]}"
  cmake --build build/emulated-asan -j "$jobs"
  ctest --preset emulated-asan -j "$jobs" -E 'ResNetReference|DeepGraphs|DataProcedural|Isa\.'

  # Where nvcc is: the same kernels for one architecture, without spills. test_all.sh does it for all of them.
  scripts/check_ptxas.sh --arch 80
fi

# Last, so that the closing lines are those of the whole suite. One test at a time: each uses all processors itself.
ctest --preset cpu
