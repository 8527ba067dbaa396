#!/usr/bin/env python3
"""The SimCLR augmentation of 32x32 images: Kagami against torchvision in one run, one thread each, taking turns.

    torchvision_augment.py [--rounds 9] [--isa avx2] [--build build/cpu]     results go to bench/results/<processor>-<date>/
    torchvision_augment.py --alone                                           torchvision only

torchvision is measured on every path a user could take: transforms v1 and v2; on PIL images, 8-bit tensors and float tensors
(the arithmetic of Kagami's views). Each round counts its fastest path. Images come one by one, as a data set's __getitem__
gets them; no loader and no batching is charged to either side.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

import numpy
import torch
import torchvision
from PIL import Image
from torchvision import transforms as v1
from torchvision.transforms import v2

import lockstep

IMAGES = 256
POLICIES = ("cifar32", "cifar32_blur")


def pipeline(t, kind, blur):
    """Policy simclr-cifar with bilinear crops (torchvision's default, and its faster one), with Kagami's k=3 blur at p = 1/2 or without."""
    to_float = t.ConvertImageDtype(torch.float32) if t is v1 else t.ToDtype(torch.float32, scale=True)
    steps = [to_float] if kind == "float" else []
    steps += [t.RandomResizedCrop(32, scale=(0.08, 1), antialias=True), t.RandomHorizontalFlip()]
    steps += [t.RandomApply([t.ColorJitter(0.4, 0.4, 0.4, 0.1)], p=0.8), t.RandomGrayscale(0.2)]
    if blur:
        steps.append(t.RandomApply([t.GaussianBlur(3, (0.1, 2.0))], p=0.5))
    if kind == "pil":
        steps += [t.ToTensor()] if t is v1 else [t.ToImage(), to_float]
    elif kind == "uint8":
        steps.append(to_float)
    return t.Compose(steps + [t.Normalize((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))])


class Torchvision:
    """All paths of one policy."""

    def __init__(self, blur, seconds):
        pixels = numpy.random.default_rng(0).integers(0, 256, (IMAGES, 32, 32, 3), dtype=numpy.uint8)
        tensors = [torch.from_numpy(p).permute(2, 0, 1).contiguous() for p in pixels]
        images = [Image.fromarray(p) for p in pixels]
        self.seconds = seconds
        self.paths = {
            f"{name} {kind}": (pipeline(t, kind, blur), images if kind == "pil" else tensors)
            for name, t in (("v1", v1), ("v2", v2))
            for kind in ("pil", "uint8", "float")
        }

    def round(self):
        """{path: views/s}"""
        speeds = {}
        for name, (transform, images) in self.paths.items():
            count, start = 0, time.perf_counter()
            while (elapsed := time.perf_counter() - start) < self.seconds:
                transform(images[count % IMAGES])
                count += 1
            speeds[name] = count / elapsed
        return speeds


class Kagami:
    """bench/augment_bench on one policy and instruction set."""

    def __init__(self, build, policy, isa, seconds):
        self.executable = lockstep.ROOT / build / "bench/augment_bench"
        listed = self.run("--benchmark_list_tests").split()
        fitting = [n for n in listed if n.startswith(f"{policy}/") and (isa == "auto" or f"/{isa}/" in n)]
        if not fitting:
            sys.exit(f"{self.executable} has no {policy} for {isa}")
        self.name, self.seconds = fitting[0], seconds

    def run(self, *options):
        return subprocess.run([self.executable, *options], check=True, capture_output=True, text=True).stdout

    def round(self):
        options = [f"--benchmark_filter=^{self.name}$", f"--benchmark_min_time={self.seconds}", "--benchmark_format=json"]
        return json.loads(self.run(*options))["benchmarks"][0]["items_per_second"]


def compare(policy, options):
    peer = Torchvision(policy.endswith("blur"), options.seconds)
    ours = None if options.alone else Kagami(options.build, policy, options.isa, options.seconds)
    peer.round()
    peer_rounds, our_rounds = [], []
    for _ in range(options.rounds):
        peer_rounds.append(peer.round())
        if ours:
            our_rounds.append(ours.round())
    medians = {path: statistics.median(r[path] for r in peer_rounds) for path in peer.paths}
    print(policy, {path: round(speed) for path, speed in medians.items()}, flush=True)
    return None if options.alone else lockstep.ratios(our_rounds, [max(r.values()) for r in peer_rounds]) | {
        "policy": policy, "kagami": ours.name, "torchvision": medians, "fastest": max(medians, key=medians.get)
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=0.5, help="of a side's (and path's) turn")
    parser.add_argument("--isa", default="auto", choices=["auto", "avx512", "avx2"])
    parser.add_argument("--build", default="build/cpu")
    parser.add_argument("--alone", action="store_true")
    parser.add_argument("--out", metavar="FOLDER")
    options = parser.parse_args()
    environment = lockstep.isa_settings(options.isa)[1]
    if environment.items() - os.environ.items():  # read when torch starts
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | environment)
    torch.set_num_threads(1)
    results = [compare(policy, options) for policy in POLICIES]
    if options.alone:
        return
    facts = lockstep.circumstances(options.isa, 1)
    facts["torch"] = f"{torch.__version__}, torchvision {torchvision.__version__}"
    rows = []
    for r in results:
        low, high = r["quartiles"]
        ratio = f"**{r['ratio']:.1f}** ({low:.1f}–{high:.1f})"
        rows.append([r["kagami"].removesuffix("/real_time"), f"{r['ours']:,.0f}", f"{r['peer']:,.0f}", r["fastest"], ratio])
    header = ["policy", "Kagami views/s", "torchvision views/s", "its fastest path", "ratio (quartiles)"]
    title = f"SimCLR augmentation of 32×32 images: Kagami and torchvision, one thread, {options.rounds} rounds"
    lockstep.save(lockstep.results_folder(options.out), f"augment-{options.isa}", title, facts, header, rows, results)


if __name__ == "__main__":
    main()
