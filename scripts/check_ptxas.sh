#!/usr/bin/env bash
# Compiles CUDA kernels and fails where ptxas had to spill registers, keeps an array in local memory, doubts (notes
# C75xx: a wgmma it serialised, a register request it ignored), or was not told how many threads share the registers: a
# block has 65536, so that more than 64 a thread need __launch_bounds__. Needs nvcc, no GPU; without nvcc it says so and
# succeeds.
#   scripts/check_ptxas.sh                    every file of kernels/cuda for sm_80 and sm_90a
#   scripts/check_ptxas.sh --arch 80,86,89,90a
#   scripts/check_ptxas.sh FILE.cu ...        these files
# A file whose kernels promise nothing holds a line "// ptxas: REASON": it is compiled and not judged.
set -euo pipefail
cd "$(dirname "$0")/.."

archs=80,90a
files=()
while [ $# -gt 0 ]; do
  case $1 in
    --arch) archs=${2:?--arch needs a list such as 80,90a}; shift 2 ;;
    -h|--help) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 0 ;;
    -*) echo "check_ptxas: unknown option '$1'; it takes --arch LIST and files" >&2; exit 2 ;;
    *) files+=("$1"); shift ;;
  esac
done
if [ ${#files[@]} = 0 ]; then files=(kernels/cuda/*.cu); fi

nvcc=$(command -v nvcc || echo "${CUDA_HOME:-/usr/local/cuda}/bin/nvcc")
if [ ! -x "$nvcc" ]; then
  echo "check_ptxas: no nvcc here (PATH, CUDA_HOME, /usr/local/cuda): not run"
  exit 0
fi
for file in "${files[@]}"; do
  [ -f "$file" ] || { echo "check_ptxas: no file $file" >&2; exit 2; }
done

targets=()
for arch in ${archs//,/ }; do targets+=("-gencode=arch=compute_$arch,code=sm_$arch"); done
compiler=("$nvcc")
if command -v ccache >/dev/null; then compiler=(ccache "$nvcc"); fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# What of ptxas' report on standard input breaks the promise: a line for each kernel and architecture.
judge() {
  awk -v file="$1" '
    /Compiling entry function/ { split($0, part, "\047"); kernel = part[2]; arch = part[4] }
    /bytes stack frame/ && ($1 > 0 || $5 > 0 || $9 > 0) {
      print file ": " arch ": " $1 " bytes of stack, " $5 " of spill stores, " $9 " of spill loads: " kernel
    }
    /C75[0-9][0-9]/ { print file ": " arch ": " $0 ": " kernel }' | c++filt
}

# The kernels of ptxas' report on standard input that a block of 1024 threads has too few registers for, and whose
# source does not promise smaller blocks.
judge_registers() {
  local file=$1 kernel registers name
  awk '/Compiling entry function/ { split($0, part, "\047"); kernel = part[2] }
       match($0, /Used [0-9]+ registers/) && substr($0, RSTART + 5) + 0 > 64 { print substr($0, RSTART + 5) + 0, kernel }' |
    sort -u | c++filt | while read -r registers kernel; do
    name=$(sed 's/(anonymous namespace):://g; s/[<(].*//; s/.*[: ]//' <<<"$kernel")
    cat "$file" kernels/cuda/*.cu* engine/*.h | tr -s '\n ' '  ' |
      grep -E "__launch_bounds__\([^;{]*\) +$name\(" >/dev/null ||
      echo "$file: $registers registers, too many for 1024 threads, and no __launch_bounds__: $kernel"
  done
}

check() {
  local file=$1 log
  log=$folder/$(tr / _ <<<"$file")
  if ! "${compiler[@]}" -x cu -std=c++20 -O3 -lineinfo --expt-relaxed-constexpr -DKAGAMI_HAS_CUDA=1 -I. "${targets[@]}" \
    -Xptxas -v -c "$file" -o "$log.o" >"$log" 2>&1; then
    cat "$log" >"$log.bad"
  elif ! grep -q '^// ptxas: ' "$file"; then
    { judge "$file" <"$log"; judge_registers "$file" <"$log"; } >"$log.bad"
  fi
}

for file in "${files[@]}"; do
  while [ "$(jobs -rp | wc -l)" -ge "$(nproc)" ]; do wait -n; done
  check "$file" &
done
wait

kernels=$(cat "$folder"/*.cu 2>/dev/null | grep -c 'Compiling entry function' || true)
cat "$folder"/*.bad 2>/dev/null || true
if [ -n "$(cat "$folder"/*.bad 2>/dev/null)" ]; then
  echo "check_ptxas: kernels spill, keep arrays on a stack, have no bounds, or did not compile: see above" >&2
  exit 1
fi
unjudged=$(grep -l '^// ptxas: ' "${files[@]}" | tr '\n' ' ' || true)
echo "check_ptxas: $kernels kernels in ${#files[@]} files for sm_${archs//,/, sm_}: no spills, no stack frames${unjudged:+; not judged: $unjudged}"
