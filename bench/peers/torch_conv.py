#!/usr/bin/env python3
"""Seconds of one convolution pass in PyTorch on the CPU, f32, channels_last or contiguous, whichever is faster for the shape.

    torch_conv.py                  all layers of conv_layers.py, a table
    torch_conv.py --round          answers lines `PASS n h w c k r s stride pad`: the lock-step protocol of bench/README.md
"""

import argparse
import sys

import torch

import conv_layers
import lockstep

FORMATS = {"channels_last": torch.channels_last, "contiguous": torch.contiguous_format}


def make_call(which, shape, memory_format):
    n, h, w, c, k, r, s, stride, pad = shape
    x = torch.randn(n, c, h, w).to(memory_format=memory_format)
    weight = torch.randn(k, c, r, s).to(memory_format=memory_format)
    if which == "forward":
        return lambda: torch.conv2d(x, weight, None, stride, pad)
    dy = torch.randn(n, k, (h + 2 * pad - r) // stride + 1, (w + 2 * pad - s) // stride + 1).to(memory_format=memory_format)
    mask = [which == "dgrad", which == "wgrad", False]
    return lambda: torch.ops.aten.convolution_backward(dy, x, weight, None, [stride] * 2, [pad] * 2, [1, 1], False, [0, 0], 1, mask)


class Convolutions:
    """Keeps the faster layout's call of the shape asked for last."""

    def __init__(self, layout, seconds):
        self.layout, self.seconds, self.asked = layout, seconds, None

    def prepare(self, line):
        which, shape = conv_layers.parse(line)
        speeds = {}
        for layout in FORMATS if self.layout == "auto" else [self.layout]:
            call = make_call(which, shape, FORMATS[layout])
            call()
            calls, elapsed = lockstep.repeat_for(self.seconds / 2, call)
            speeds[layout] = (elapsed / calls, call)
        self.chosen = min(speeds, key=lambda name: speeds[name][0])
        self.call, self.asked = speeds[self.chosen][1], line
        self.gflop = conv_layers.gflop(shape)

    def answer(self, line):
        with torch.no_grad():
            if line != self.asked:
                self.prepare(line)
            calls, elapsed = lockstep.repeat_for(self.seconds, self.call)
        return {"gflop_per_second": self.gflop * calls / elapsed, "seconds": elapsed / calls, "layout": self.chosen}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--layout", default="auto", choices=["auto", *FORMATS])
    parser.add_argument("--round-seconds", type=float, default=0.2)
    parser.add_argument("--round", action="store_true", help="one round for each line of stdin")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    convolutions = Convolutions(options.layout, options.round_seconds)
    facts = {"name": "torch", "version": torch.__version__, "isa": torch.backends.cpu.get_cpu_capability(), "threads": options.threads}
    if options.round:
        lockstep.serve(facts, convolutions.answer)
        return
    print(facts)
    for network, kind, shape in conv_layers.layers():
        for which in conv_layers.passes(shape):
            answer = convolutions.answer(conv_layers.request(which, shape))
            print(f"{network:18} {kind:8} {which:8} {str(shape):40} {answer['gflop_per_second']:7.0f} GFLOP/s  {answer['layout']}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
