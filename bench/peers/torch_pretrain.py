#!/usr/bin/env python3
"""Views per second of whole SimCLR steps in PyTorch on a GPU: augmentation, two views, loss, backward, LARS; channels_last, autocast to bf16.

    torch_pretrain.py --model resnet18 --size 32 --batch 512 --compile none     prints a JSON line
    torch_pretrain.py ... --round                                              waits for lines: the lock-step protocol of bench/README.md

The images are 8-bit and lie on the device; what is drawn and computed is what bench/pretrain_bench.cpp does (policy simclr-cifar, batch statistics per
view, projector with one hidden layer). --compile takes torch.compile's mode for network and loss: default, reduce-overhead, max-autotune. On a CPU
(--device cpu) it runs in f32, to be tried out.
"""

import argparse
import sys
import time

import torch

import lockstep
import simclr
import tensor_views


class Lars:
    """You et al. 2017 as SimCLR uses it: no decay and no trust ratio for biases and batch norms. The updates are fused lists of tensors."""

    def __init__(self, parameters, lr, momentum=0.9, weight_decay=1e-6, trust=1e-3):
        parameters = [p for p in parameters if p.requires_grad]
        self.scaled, self.plain = [p for p in parameters if p.ndim > 1], [p for p in parameters if p.ndim <= 1]
        self.velocity = {group: [torch.zeros_like(p) for p in getattr(self, group)] for group in ("scaled", "plain")}
        self.lr, self.momentum, self.weight_decay, self.trust = lr, momentum, weight_decay, trust

    @torch.no_grad()
    def step(self):
        g = torch._foreach_add([p.grad for p in self.scaled], self.scaled, alpha=self.weight_decay)
        ratios = torch._foreach_norm(self.scaled)
        torch._foreach_div_(ratios, torch._foreach_norm(g))
        torch._foreach_mul_(ratios, self.trust)
        torch._foreach_mul_(g, ratios)
        for group, gradients in (("scaled", g), ("plain", [p.grad for p in self.plain])):
            torch._foreach_mul_(self.velocity[group], self.momentum)
            torch._foreach_add_(self.velocity[group], gradients)
            torch._foreach_add_(getattr(self, group), self.velocity[group], alpha=-self.lr)

    def zero_grad(self):
        for p in (*self.scaled, *self.plain):
            p.grad = None


class Step:
    def __init__(self, options):
        torch.manual_seed(1)
        self.device, self.batch = torch.device(options.device), options.batch
        self.half = self.device.type == "cuda" and options.precision == "bf16"
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = options.precision != "fp32"
        torch.backends.cudnn.benchmark = True
        self.net = simclr.SimCLR(options.model, "cifar" if options.size < 64 else "imagenet", hidden=options.hidden)
        self.net = self.net.to(self.device, memory_format=torch.channels_last).train()
        self.optimizer = Lars(self.net.parameters(), lr=0.3)
        self.generator = torch.Generator(device=self.device).manual_seed(1)
        self.images = torch.randint(0, 256, (4 * self.batch, 3, options.size, options.size), dtype=torch.uint8, device=self.device)
        self.at = 0
        self.loss_of = self.loss if options.compile == "none" else torch.compile(self.loss, mode=options.compile)

    def loss(self, a, b):
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.half):
            za, zb = self.net(a), self.net(b)
        return simclr.nt_xent(za.float(), zb.float(), 0.5)

    def view(self, images):
        x = tensor_views.view(images, (0.08, 1.0), (0.4, 0.4, 0.4, 0.1), self.generator)
        return x.contiguous(memory_format=torch.channels_last)

    def __call__(self):
        images = self.images[self.at : self.at + self.batch]
        self.at = (self.at + self.batch) % len(self.images)
        self.optimizer.zero_grad()
        loss = self.loss_of(self.view(images), self.view(images))
        loss.backward()
        self.optimizer.step()
        return loss

    def views_per_second(self, steps):
        self.synchronize()
        start = time.perf_counter()
        for _ in range(steps):
            loss = self()
        self.synchronize()
        elapsed = time.perf_counter() - start
        if not torch.isfinite(loss):
            sys.exit("torch_pretrain.py: the loss is not finite")
        return 2 * self.batch * steps / elapsed

    def synchronize(self):
        if self.device.type == "cuda":
            torch.cuda.synchronize()


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="resnet18")
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--batch", type=int, default=512, help="images; each gives two views")
    parser.add_argument("--hidden", type=int, default=512, help="width of the projector")
    parser.add_argument("--precision", default="bf16", choices=["bf16", "tf32", "fp32"])
    parser.add_argument("--compile", default="none", choices=["none", "default", "reduce-overhead", "max-autotune"])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--steps", type=int, default=20, help="of a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--round", action="store_true", help="one round for each line of stdin")
    return parser.parse_args()


def main():
    options = parse()
    if options.device.startswith("cuda") and not torch.cuda.is_available():
        sys.exit("torch_pretrain.py: PyTorch finds no CUDA device")
    step = Step(options)
    for _ in range(5):  # compiles, tries algorithms
        step()
    name = torch.cuda.get_device_name(step.device) if step.device.type == "cuda" else "cpu"
    facts = {"name": "torch", "version": torch.__version__, "device": name, "model": options.model, "size": options.size, "views": 2 * options.batch,
             "precision": options.precision if step.device.type == "cuda" else "fp32", "compile": options.compile}
    lockstep.speeds(facts, lambda: step.views_per_second(options.steps), options.round, options.rounds)


if __name__ == "__main__":
    sys.exit(main())
