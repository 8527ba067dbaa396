#!/usr/bin/env bash
# scripts/gpu_check.sh with stand-ins for the GPU, the toolkit and the programs: what it builds again, measures again and
# keeps when the source changes, and that it leaves out no test of CUDA code.
set -euo pipefail
cd "$(dirname "$0")/../.."
for needed in git python3; do command -v $needed >/dev/null || { echo "needs $needed"; exit 77; }; done

. scripts/gpu_check_parts.sh
for pattern in ${of_the_checkout//:/ }; do
  suite=${pattern##*/} name='*'
  case $suite in *.*) name=${suite#*.} suite=${suite%%.*} ;; esac
  suite=${suite%\*} name=${name//\*/[A-Za-z0-9_]*}
  bodies=$(grep -rlE "^TEST(_[FP])?\($suite, $name\)" tests --include=*_test.cpp | xargs awk "/^TEST(_[FP])?\\($suite, $name\\)/, /^}/") ||
    { echo "no test is $pattern, which gpu_check.sh leaves out"; exit 1; }
  if grep -E 'cuda|every_device|^ *check_op\(' <<<"$bodies"; then echo "gpu_check.sh leaves out $pattern, which takes a CUDA device"; exit 1; fi
done

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root"/{bin,nvcc,bench} "$root"/stand_in/{tests,bench}
cp -r scripts "$root"
cp bench/vendor_table.py "$root/bench"
cd "$root"

stand_in() { printf '#!/bin/sh\n%s\n' "$2" >"$1"; chmod +x "$1"; }
stand_in bin/nvidia-smi 'for gpu in 1 2; do echo "NVIDIA H200, 580.1, 143771 MiB"; done'
stand_in nvcc/nvcc true
stand_in bin/cmake 'echo "cmake $*" >>ran; mkdir -p build; cp -r stand_in/. build/cuda'
stand_in bin/strip 'cp "$3" "$2"'
stand_in bin/ldd "echo 'libstand_in.so => $root/ran (0x0)'"
measure='for option; do case $option in --benchmark_out=*) out=${option#*=} ;; --benchmark_context=*) context=${option#*=} ;; esac; done
echo "measured $*" >>ran
printf "{\"context\": {\"%s\": \"%s\"}, \"benchmarks\": []}" "${context%%=*}" "${context#*=}" | sed "s/\":/\": /" >"$out"'
stand_in stand_in/bench/kernels_vs_vendor "$measure"
stand_in stand_in/tests/kagami_tests 'for option; do case $option in --gtest_output=json:*) out=${option#*:} ;; esac; done
echo "{\"testsuites\": [{\"testsuite\": [{\"classname\": \"CopyCuda\", \"name\": \"x\", \"result\": \"COMPLETED\"}]}]}" >"$out"'
for program in kagami bench/pretrain_bench; do stand_in stand_in/$program true; done
printf 'build\nran\nresults\n' >.gitignore
commit() { git -c user.name=x -c user.email=x@x commit -qam "$1"; git rev-parse HEAD; }
git init -q . && git add -A && first=$(commit first)

# check PARTS...: runs them; sets `said`, and `built` and `measured`: how often.
check() {
  : >ran
  said=$(PATH=$root/bin:$path CUDA_HOME=$root/none scripts/gpu_check.sh "$@" --out results --python python3 2>&1) ||
    { echo "$said"; echo "gpu_check.sh $*: failed"; exit 1; }
  built=$(grep -c 'cmake --build' ran || true) measured=$(grep -c '^measured' ran || true)
}
# expect BUILT MEASURED COMMIT WHEN: what the last check did, and the commit that its log and JSON files name.
expect() {
  if [ "$built" != "$1" ] || [ "$measured" != "$2" ]; then echo "$4: built $built times, measured $measured groups, expected $1 and $2"; exit 1; fi
  local file
  for file in results/kernels.json results/kernels/*.json; do
    grep -q "\"commit\": \"$3\"" "$file" || { echo "$4: $file does not name commit $3"; exit 1; }
  done
  grep -q "^programs of commit $3" results/kernels.log || { echo "$4: the log does not name commit $3"; exit 1; }
}

without=$(printf %s "$PATH" | tr : '\n' | while read -r folder; do [ -x "$folder/nvcc" ] || printf '%s:' "$folder"; done)
path=$root/nvcc:$without
check kernels
groups=$measured
[ "$groups" -ge 30 ] || { echo "only $groups groups"; exit 1; }
expect 1 "$groups" "$first" "the first time"
check kernels
expect 0 0 "$first" "nothing changed"
echo >>scripts/README.md
check kernels
expect 1 "$groups" "$first-dirty-[0-9]*" "a file changed"
second=$(commit second)
check kernels
expect 1 "$groups" "$second" "another commit"
path=$without
echo >>scripts/README.md
commit third >/dev/null
check kernels
expect 0 0 "$second" "another commit without nvcc"
check verify
grep -q "\"commit\": \"$second\"" results/verify.json || { echo "verify.json does not name the commit"; exit 1; }
echo "scripts/gpu_check.sh measures again what programs of another commit measured"
