#!/usr/bin/env bash
# Checks and measures Kagami on a machine with an NVIDIA GPU. Results go to bench/results/GPU-DATE/: for each part a log,
# a JSON file and, last in the log, a table. A part takes less than eight minutes; run again, it takes up what is left.
#   scripts/gpu_check.sh [verify] [kernels] [steps] [train]      these parts, or all four
#   scripts/gpu_check.sh pack       only builds and gathers what the parts need, under build/gpu_check
# verify: every CUDA test, what instructions gave (for the emulator to be compared with), compute-sanitizer.
# kernels: kernels_vs_vendor. steps: SimCLR steps beside PyTorch's. train: short runs, repeated, resumed.
# Options: --out FOLDER, --minutes N for each part (8), --python PROGRAM with torch and torchvision for `steps`.
# Where nvcc is missing, a build/gpu_check made elsewhere is used: it needs only the driver (and Python for the tables).
# Logs and JSON files name the commit that the programs were built from; where nvcc is, those of another are built again.
set -euo pipefail
cd "$(dirname "$0")/.."

packed=build/gpu_check
parts=()
out= minutes=8 python=
while [ $# -gt 0 ]; do
  case $1 in
    verify|kernels|steps|train|pack) parts+=("$1"); shift ;;
    --out|--minutes|--python)
      [ $# -ge 2 ] || { echo "scripts/gpu_check.sh: $1 needs a value" >&2; exit 2; }
      case $1 in --out) out=$2 ;; --minutes) minutes=$2 ;; *) python=$2 ;; esac
      shift 2 ;;
    -h|--help) sed -n '2,11s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "scripts/gpu_check.sh: unknown argument '$1'; it takes verify, kernels, steps, train, pack" >&2; exit 2 ;;
  esac
done
[ ${#parts[@]} -gt 0 ] || parts=(verify kernels steps train)

. scripts/gpu_check_parts.sh

case " ${parts[*]} " in
  *" pack "*) pack; exit 0 ;;
esac
if ! gpu=$(nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader 2>/dev/null) || [ -z "$gpu" ]; then
  echo "scripts/gpu_check.sh: nvidia-smi shows no GPU: nothing can be checked here" >&2
  exit 1
fi
gpu=${gpu%%$'\n'*}
source=$(source_commit)
if [ ! -x $packed/kagami_tests ] || { [ -x "$(find_nvcc)" ] && [ "$source" != unknown ] && [ "$source" != "$(packed_commit)" ]; }; then pack; fi
commit=$(packed_commit)
name=$(cut -d, -f1 <<<"$gpu" | tr 'A-Z ' 'a-z-' | tr -cd 'a-z0-9-')
out=${out:-bench/results/$name-$(date +%F)}
mkdir -p "$out"
python=${python:-$(find_python)}
export LD_LIBRARY_PATH=$PWD/$packed/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}

code=0
for part in "${parts[@]}"; do
  echo "== $part ($gpu), $(date -Is), at most $minutes minutes; log: $out/$part.log"
  echo "programs of commit $commit, scripts of $source" | tee "$out/$part.log"
  deadline=$(($(date +%s) + minutes * 60))
  rm -f "$out/$part.json"
  set +e
  (set -e; "part_$part") >>"$out/$part.log" 2>&1  # a subshell of its own, so that its first failure ends it
  ended=$?
  set -e
  if [ $ended = 0 ]; then echo "== $part: done"; else code=1; not_passed "$part" $ended; fi
  name_commit "$out/$part.json"
  tail -n 40 "$out/$part.log"
done
exit $code
