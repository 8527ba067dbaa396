#!/usr/bin/env python3
"""Images per second of one training step in PyTorch on the CPU, f32, eager, channels_last or contiguous, whichever is faster.

    torch_step.py --model resnet18 --batch 64                    prints one JSON line
    torch_step.py --model resnet18 --batch 64 --round            waits for lines: the lock-step protocol of bench/README.md
    torch_step.py --model resnet18 --batch 64 --memory           peak memory above that after import and a tiny step

`--step plain`: backbone, Linear to 10 classes, cross-entropy, SGD (momentum .9, weight decay 5e-4) on one batch in memory.
`--step simclr`: a batch of N images is 2N views, one forward pass a view, projector, NT-Xent (tau .5), the same SGD; its images are views.
"""

import argparse
import json
import statistics
import sys

import torch
from torch import nn

import lockstep
import simclr
from simclr import models

STEMS = {"resnet18": "cifar", "resnet20": "cifar", "resnet14": "cifar", "resnet8": "cifar"}
FORMATS = {"channels_last": torch.channels_last, "contiguous": torch.contiguous_format}


class Step:
    def __init__(self, options, layout, batch, size=32):
        torch.manual_seed(1)
        memory_format = FORMATS[layout]
        if options.step == "simclr":
            self.net = simclr.SimCLR(options.model, options.stem)
        else:
            features = models.features_of(options.model)
            self.net = nn.Sequential(models.backbone(options.model, options.stem), nn.Linear(features, 10))
        self.net = self.net.to(memory_format=memory_format).train()
        self.optimizer = torch.optim.SGD(self.net.parameters(), lr=1e-3, momentum=0.9, weight_decay=5e-4, fused=True)
        self.simclr = options.step == "simclr"
        self.views = [torch.rand(batch, 3, size, size).contiguous(memory_format=memory_format) for _ in range(1 + self.simclr)]
        self.labels = torch.randint(0, 10, (batch,))
        self.images = batch * len(self.views)

    def __call__(self):
        self.optimizer.zero_grad(set_to_none=True)
        outputs = [self.net(view) for view in self.views]
        loss = simclr.nt_xent(*outputs, 0.5) if self.simclr else nn.functional.cross_entropy(outputs[0], self.labels)
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def images_per_second(self, seconds):
        steps, elapsed = lockstep.repeat_for(seconds, self)
        return steps * self.images / elapsed


def faster_layout(options):
    if options.layout != "auto":
        return options.layout, {}
    speeds = {}
    for layout in FORMATS:
        step = Step(options, layout, options.batch)
        step()
        speeds[layout] = statistics.median(step.images_per_second(options.round_seconds / 3) for _ in range(3))
    return max(speeds, key=speeds.get), speeds


def resident(field):
    for line in open("/proc/self/status"):
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"/proc/self/status has no {field}")


def memory(options):
    """Peak resident bytes of full steps minus resident bytes after a tiny step."""
    Step(options, options.layout, 2, 8)()
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # the high-water mark starts again from here: import is not part of it
    before = resident("VmRSS")
    step = Step(options, options.layout, options.batch)
    for _ in range(3):
        step()
    peak = resident("VmHWM")
    return {"peak_bytes": peak - before, "peak_rss_bytes": peak, "rss_after_tiny_step_bytes": before}


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="resnet18", choices=[*STEMS, "resnet34", "resnet50"])
    parser.add_argument("--stem", choices=["cifar", "cifar-s2", "imagenet"])
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--step", default="plain", choices=["plain", "simclr"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--layout", default="auto", choices=["auto", *FORMATS])
    parser.add_argument("--round-seconds", type=float, default=2.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--round", action="store_true", help="one round for each line of stdin")
    parser.add_argument("--memory", action="store_true")
    options = parser.parse_args()
    options.stem = options.stem or STEMS.get(options.model, "cifar")
    return options


def main():
    options = parse()
    torch.set_num_threads(options.threads)
    facts = {"name": "torch", "version": torch.__version__, "isa": torch.backends.cpu.get_cpu_capability(), "threads": options.threads,
             "model": options.model, "stem": options.stem, "batch": options.batch, "step": options.step}
    if options.memory:
        options.layout = "channels_last" if options.layout == "auto" else options.layout
        print(json.dumps(facts | {"layout": options.layout} | memory(options)))
        return
    layout, speeds = faster_layout(options)
    facts |= {"layout": layout, "layout_speeds": speeds}
    step = Step(options, layout, options.batch)
    lockstep.speeds(facts, lambda: step.images_per_second(options.round_seconds), options.round, options.rounds)


if __name__ == "__main__":
    sys.exit(main())
