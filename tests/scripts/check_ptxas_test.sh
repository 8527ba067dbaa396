#!/usr/bin/env bash
# scripts/check_ptxas.sh finds what it is there to find, and nothing in a kernel that keeps the promise.
set -euo pipefail
cd "$(dirname "$0")/../.."

fail() { printf '%s\n' "$1" "$said" >&2; exit 1; }
run() { code=0; said=$(scripts/check_ptxas.sh "$@" 2>&1) || code=$?; }

run --arch 80 tests/scripts/spills.cu
case $said in *"not run"*) echo "$said"; exit 77 ;; esac
[ "$code" = 1 ] || fail "planted spills: exit code $code, expected 1"
grep -q 'sm_80: [1-9].*[1-9][0-9]* of spill stores.*: spills(' <<<"$said" || fail "the spills are not named"
grep -q 'sm_80: 64 bytes of stack.*: keeps_an_array(' <<<"$said" || fail "the array in local memory is not named"

clean=$(mktemp --suffix .cu)
trap 'rm -f "$clean"' EXIT
echo '__global__ void twice(float* x) { x[threadIdx.x] *= 2; }' >"$clean"
run --arch 80,90a "$clean"
[ "$code" = 0 ] || fail "a kernel without spills: exit code $code"
grep -q '^check_ptxas: 2 kernels in 1 files' <<<"$said" || fail "not both architectures were looked at"

hungry='hungry(const float* x, float* y) {
  float v[96];
#pragma unroll
  for (int i = 0; i < 96; ++i) v[i] = x[i];
#pragma unroll
  for (int i = 0; i < 96; ++i) y[i] += v[95 - i];
  __syncthreads();
#pragma unroll
  for (int i = 0; i < 96; ++i) y[i] *= v[i];
}'
echo "__global__ void $hungry" >"$clean"
run --arch 80 "$clean"
[ "$code" = 1 ] || fail "more than 64 registers and no bounds: exit code $code, expected 1"
grep -q 'registers, too many for 1024 threads, and no __launch_bounds__: hungry(' <<<"$said" || fail "registers are not named"
echo "__global__ void __launch_bounds__(2 * (64), 1) $hungry" >"$clean"
run --arch 80 "$clean"
[ "$code" = 0 ] || fail "more than 64 registers within bounds: exit code $code"

{ echo '// ptxas: planted'; cat tests/scripts/spills.cu; } >"$clean"
run --arch 80 "$clean"
[ "$code" = 0 ] || fail "a file without the promise is judged"

echo 'an error' >"$clean"
run --arch 80 "$clean"
[ "$code" = 1 ] || fail "a file that does not compile: exit code $code"
run --nonsense
[ "$code" = 2 ] || fail "an unknown option: exit code $code"
echo "scripts/check_ptxas.sh names spills and arrays in local memory"
