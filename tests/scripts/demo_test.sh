#!/usr/bin/env bash
# scripts/demo.sh builds with CUDA exactly where a GPU that the kernels and nvcc know is at hand.
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
stand_in() { printf '#!/bin/sh\n%s\n' "$2" >"$folder/$1"; chmod +x "$folder/$1"; }

# expect WORDS: what demo.sh says of a machine on which nvidia-smi and nvcc are the stand-ins.
expect() {
  said=$(PATH="$folder:$PATH" scripts/demo.sh --show-preset)
  [[ $said == *"$1"* && $said != *$'\n'* ]] || { echo "demo.sh says '$said', expected '$1'"; exit 1; }
}
stand_in nvcc 'printf "sm_80\nsm_86\nsm_90\n"'
stand_in nvidia-smi 'printf "9.0, NVIDIA H200\n8.6, NVIDIA GeForce RTX 3090\n"'
expect 'with CUDA for NVIDIA H200 (sm_90a)'
stand_in nvidia-smi 'echo "8.6, NVIDIA GeForce RTX 3090"'
expect 'with CUDA for NVIDIA GeForce RTX 3090 (sm_86)'
stand_in nvidia-smi 'echo "7.5, Tesla T4"'
expect 'without CUDA: Kagami'
stand_in nvidia-smi 'echo "12.0, NVIDIA GeForce RTX 5090"'
expect 'without CUDA: Kagami'
stand_in nvidia-smi 'echo "NVIDIA-SMI has failed"; exit 9'
expect 'without CUDA: nvidia-smi shows no GPU'
