#!/usr/bin/env bash
# Makes the environment of the PyTorch side of the benchmarks: build/peers with the newest torch and torchvision that pip finds.
#
#   bench/peers/setup.sh [PIP OPTION ...]      such as --index-url URL for a CPU-only build of torch
#
# Nothing in the build, the tests or CI needs it.
set -euo pipefail
cd "$(dirname "$0")/../.."
python3 -m venv build/peers
build/peers/bin/pip install --quiet --upgrade pip
build/peers/bin/pip install --quiet --upgrade torch torchvision numpy pillow "$@"
build/peers/bin/python - <<'PYTHON'
import numpy, PIL, torch, torchvision
print("torch", torch.__version__, "torchvision", torchvision.__version__, "numpy", numpy.__version__, "pillow", PIL.__version__)
print("instruction set:", torch.backends.cpu.get_cpu_capability(), " threads:", torch.get_num_threads())
PYTHON
