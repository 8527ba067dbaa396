#!/usr/bin/env bash
# Builds Kagami, pretrains a small network without labels for about two minutes on two cores, and shows what it learned.
#   scripts/demo.sh               on the built-in images
#   scripts/demo.sh --data PATH   on yours: a folder with a folder per class (labels are used to measure, not to learn)
#   scripts/demo.sh --out RUN     where the run goes (runs/demo); one that is there is replaced
# Built with CUDA, for the GPU at hand, where nvidia-smi shows one and nvcc is there. --show-preset says which and ends.
set -euo pipefail
cd "$(dirname "$0")/.."

data=procedural
out=runs/demo
show_preset=no
while [ $# -gt 0 ]; do
  case $1 in
    --data|--out)
      [ $# -ge 2 ] || { echo "scripts/demo.sh: $1 needs a value" >&2; exit 2; }
      if [ "$1" = --data ]; then data=$2; else out=$2; fi
      shift 2 ;;
    --show-preset) show_preset=yes; shift ;;
    -h|--help) sed -n '2,6s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "scripts/demo.sh: unknown argument '$1'; it takes --data PATH, --out RUN and --show-preset" >&2; exit 2 ;;
  esac
done
case $data in /*|procedural*) ;; *) [ ! -e "$OLDPWD/$data" ] || data=$OLDPWD/$data ;; esac

# The compute capability and name of the first GPU; its own architecture alone builds in minutes.
gpu=$(nvidia-smi --query-gpu=compute_cap,name --format=csv,noheader 2>/dev/null) || gpu=
gpu=${gpu%%$'\n'*}
nvcc=$(command -v nvcc || echo "${CUDA_HOME:-/usr/local/cuda}/bin/nvcc")
architecture=$(cut -d, -f1 <<<"$gpu" | tr -d .) name=${gpu#*, }
case $architecture in 90) architecture=90a ;; esac
preset=cpu
if [[ ! $gpu =~ ^[0-9]+\.[0-9]+, ]]; then
  echo "Building without CUDA: nvidia-smi shows no GPU."
elif [ ! -x "$nvcc" ]; then
  echo "Building without CUDA: there is a GPU, $name, but no nvcc (PATH, CUDA_HOME, /usr/local/cuda)."
elif [ "${gpu%%.*}" -lt 8 ] || ! grep -qx "sm_${architecture%a}" <<<"$("$nvcc" --list-gpu-code)"; then
  echo "Building without CUDA: Kagami's kernels or this nvcc have nothing for $name (sm_$architecture)."
else
  echo "Building with CUDA for $name (sm_$architecture)."
  preset=cuda
fi
[ $show_preset = no ] || exit 0

if [ ! -f build/$preset/build.ninja ]; then
  . scripts/dependencies.sh
  kagami_need no
  options=(-DKAGAMI_TESTS=OFF -DKAGAMI_BENCH=OFF)
  [ $preset = cpu ] || options+=("-DCMAKE_CUDA_ARCHITECTURES=$architecture-real" "-DCMAKE_CUDA_COMPILER=$nvcc")
  cmake --preset $preset "${options[@]}"
fi
cmake --build build/$preset --target kagami_program -j "$(nproc)"

run_options=()
case $data in procedural*) ;; *) run_options=(--val-fraction 0.2) ;; esac
if [ -d "$data" ]; then  # a folder with few images: at least three steps an epoch
  images=$(find -L "$data" -type f \( -iname '*.jpg' -o -iname '*.jpeg' -o -iname '*.png' \) | wc -l)
  if [ "$images" -ge 8 ] && [ "$images" -lt 1024 ]; then run_options+=(--batch $((images / 4))); fi
fi
build/$preset/kagami pretrain --recipe apps/recipes/simclr-demo.ini --data "$data" "${run_options[@]}" --out "$out" --overwrite
echo
code=0
build/$preset/kagami evaluate --run "$out" --train-images 5000 --test-images 2000 || code=$?
if [ "$code" = 2 ]; then
  echo "The network is trained, but these images have no labels to measure it with. Use it: build/$preset/kagami embed --help"
  code=0
fi
exit "$code"
