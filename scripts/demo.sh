#!/usr/bin/env bash
# Builds Kagami, pretrains a small network without labels for about two minutes on two cores, and shows what it learned.
#   scripts/demo.sh               on the built-in images
#   scripts/demo.sh --data PATH   on yours: a folder with a folder per class (labels are used to measure, not to learn)
#   scripts/demo.sh --out RUN     where the run goes (runs/demo); one that is there is replaced
set -euo pipefail
cd "$(dirname "$0")/.."

data=procedural
out=runs/demo
while [ $# -gt 0 ]; do
  case $1 in
    --data|--out)
      [ $# -ge 2 ] || { echo "scripts/demo.sh: $1 needs a value" >&2; exit 2; }
      if [ "$1" = --data ]; then data=$2; else out=$2; fi
      shift 2 ;;
    -h|--help) sed -n '2,5s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "scripts/demo.sh: unknown argument '$1'; it takes --data PATH and --out RUN" >&2; exit 2 ;;
  esac
done
case $data in /*|procedural*) ;; *) [ ! -e "$OLDPWD/$data" ] || data=$OLDPWD/$data ;; esac

if [ ! -f build/cpu/build.ninja ]; then
  . scripts/dependencies.sh
  kagami_need no
  cmake --preset cpu -DKAGAMI_TESTS=OFF -DKAGAMI_BENCH=OFF
fi
cmake --build build/cpu --target kagami_program -j "$(nproc)"

held_out=()
case $data in procedural*) ;; *) held_out=(--val-fraction 0.2) ;; esac
build/cpu/kagami pretrain --recipe apps/recipes/simclr-demo.ini --data "$data" "${held_out[@]}" --out "$out" --overwrite
echo
code=0
build/cpu/kagami evaluate --run "$out" --train-images 5000 --test-images 2000 || code=$?
if [ "$code" = 2 ]; then
  echo "The network is trained, but these images have no labels to measure it with. Use it: build/cpu/kagami embed --help"
  code=0
fi
exit "$code"
