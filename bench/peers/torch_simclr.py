#!/usr/bin/env python3
"""SimCLR pretraining in PyTorch on the CPU, then kNN and linear evaluation of h, before and after. One JSON line at the end.

The defaults are the smoke profile: 4,000 images, ResNet-8 width 16, stem cifar-s2, 600 steps of 128 images, tau .5, about 3 minutes.

    torch_simclr.py --data CIFAR10_FOLDER
    torch_simclr.py --data CIFAR10_FOLDER --images 20000 --bank 10000 --test 10000 --minutes 20 --knn-every 1

--data is an image folder with train/<class>/ and test/<class>/, images of one size. With --minutes the learning rate follows the clock
(evaluation does not count), so that both of two programs get the same wall time; else it follows --steps.
"""

import argparse
import json
import math
import pathlib
import sys
import time

import numpy as np
import torch
from PIL import Image
from torch import nn

import evaluate
import simclr
import tensor_views

MEAN = torch.tensor([0.4914, 0.4822, 0.4465]).view(1, 3, 1, 1)
STD = torch.tensor([0.2470, 0.2435, 0.2616]).view(1, 3, 1, 1)


def load_split(folder, count):
    """The first count/classes images of every class in sorted order: (uint8 [count, 3, s, s], int64 [count])."""
    classes = sorted(p for p in folder.iterdir() if p.is_dir())
    images, labels = [], []
    for label, path in enumerate(classes):
        files = sorted(path.iterdir())[: count // len(classes)]
        images += [np.asarray(Image.open(file).convert("RGB")) for file in files]
        labels += [label] * len(files)
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous(), torch.tensor(labels)


def normalize(x):
    return ((x - MEAN) / STD).contiguous(memory_format=torch.channels_last)


class Run:
    def __init__(self, options):
        self.options = options
        torch.manual_seed(options.seed)
        self.generator = torch.Generator().manual_seed(options.seed)
        folder = pathlib.Path(options.data)
        self.train, labels = load_split(folder / "train", max(options.images, options.bank))
        # The bank and the training images are evenly spread over the classes, which the files come sorted by.
        self.bank = self.spread(self.train, options.bank), self.spread(labels, options.bank)
        self.train = self.spread(self.train, options.images)
        self.test = load_split(folder / "test", options.test)
        self.net = simclr.SimCLR(options.arch, options.stem, options.width, options.hidden, options.outputs)
        if options.zero_scales:
            simclr.models.zero_last_scales(self.net)
        if options.last_norm == "plain":
            self.net.projector[-1] = nn.BatchNorm1d(options.outputs, affine=False)
        self.net = self.net.to(memory_format=torch.channels_last)
        self.optimizer = torch.optim.SGD(self.net.parameters(), lr=options.lr, momentum=0.9, weight_decay=options.weight_decay, fused=True)

    def spread(self, rows, count):
        """As many of every class, the first ones of each."""
        classes = 10
        each = len(rows) // classes
        return rows.view(classes, each, *rows.shape[1:])[:, : count // classes].flatten(0, 1)

    def view(self, images):
        return normalize(tensor_views.view(images, self.options.scale, self.options.jitter, self.generator))

    def features(self, images):
        self.net.eval()
        with torch.no_grad():
            h = torch.cat([self.net.backbone(normalize(x.float() / 255)) for x in images.split(500)])
        self.net.train()
        return h

    def evaluate(self, linear):
        bank, test = self.features(self.bank[0]), self.features(self.test[0])
        data = bank, self.bank[1], test, self.test[1]
        found = {"knn": evaluate.knn_accuracy(*data)}
        if linear:
            found |= {"ridge": evaluate.ridge_accuracy(*data), "logistic": evaluate.logistic_accuracy(*data)}
        return {name: round(value, 2) for name, value in found.items()}

    def collapse(self):
        """Of 512 training images, encoded with batch statistics; running statistics and randomness stay as they were."""
        saved = {name: value.clone() for name, value in self.net.state_dict().items()}
        state = self.generator.get_state()
        self.generator.manual_seed(0)
        with torch.no_grad():
            z = self.net(self.view(self.train[:: max(1, len(self.train) // 512)][:512]))
        self.generator.set_state(state)
        self.net.load_state_dict(saved)
        return evaluate.collapse(z)

    def step(self, index, rate):
        images = self.train[index]
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        loss = simclr.nt_xent(self.net(self.view(images)), self.net(self.view(images)), self.options.temperature)
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def batches(self):
        while True:
            order = torch.randperm(len(self.train), generator=self.generator)
            yield from order[: len(order) // self.options.batch * self.options.batch].split(self.options.batch)

    def pretrain(self):
        options, trained, step, curve, next_knn, loss = self.options, 0.0, 0, [], math.inf, math.nan
        if options.knn_every:
            next_knn = options.knn_every * 60
        for index in self.batches():
            progress = trained / (options.minutes * 60) if options.minutes else step / options.steps
            if progress >= 1:
                break
            start = time.perf_counter()
            rate = options.lr * min(0.5 * (1 + math.cos(math.pi * progress)), (progress + 1e-3) / max(options.warmup, 1e-3))
            loss = self.step(index, rate)
            trained += time.perf_counter() - start
            step += 1
            if trained >= next_knn:
                curve.append({"minutes": round(trained / 60, 2), "step": step, "loss": loss} | self.evaluate(linear=False))
                next_knn += options.knn_every * 60
                print(curve[-1], file=sys.stderr, flush=True)
            elif step % 50 == 0:
                print(f"step {step}  loss {loss:.4f}  {step * options.batch * 2 / trained:.0f} views/s", file=sys.stderr, flush=True)
        return {"steps": step, "train_seconds": round(trained, 1), "views_per_second": round(step * options.batch * 2 / trained, 1),
                "epochs": round(step / (len(self.train) // options.batch), 1), "last_loss": loss, "curve": curve}


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--bank", type=int, default=4000)
    parser.add_argument("--test", type=int, default=1000)
    parser.add_argument("--arch", default="resnet8")
    parser.add_argument("--stem", default="cifar-s2", choices=["cifar", "cifar-s2", "imagenet"])
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--hidden", type=int, default=256, help="of the projector")
    parser.add_argument("--outputs", type=int, default=256, help="of the projector")
    parser.add_argument("--last-norm", default="plain", choices=["plain", "scale"], help="the projector's last batch norm: without affine, with a scale")
    parser.add_argument("--zero-scales", action="store_true", help="the last batch norm of every residual block begins with scale 0")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--lr", type=float, default=0.1)
    parser.add_argument("--weight-decay", type=float, default=5e-4)
    parser.add_argument("--warmup", type=float, default=0.0, help="fraction of the run with a rising learning rate")
    parser.add_argument("--temperature", type=float, default=0.5)
    parser.add_argument("--scale", type=float, nargs=2, default=[0.2, 1.0], help="of the crop's area")
    parser.add_argument("--jitter", type=float, nargs=4, default=[0.4, 0.4, 0.4, 0.1], help="brightness, contrast, saturation, hue")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--minutes", type=float, help="train for so long instead of --steps")
    parser.add_argument("--knn-every", type=float, metavar="MINUTES")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--save", metavar="FILE", help="the backbone's weights as safetensors, torchvision's names")
    return parser.parse_args()


def main():
    options = parse()
    torch.set_num_threads(options.threads)
    run = Run(options)
    report = {"torch": torch.__version__, "isa": torch.backends.cpu.get_cpu_capability(), "options": vars(options)}
    report["untrained"] = run.evaluate(linear=True)
    print("untrained", report["untrained"], file=sys.stderr, flush=True)
    report |= run.pretrain()
    report["trained"] = run.evaluate(linear=True)
    report |= run.collapse()
    if options.save:
        import safetensors_file

        weights = {n: t.numpy() for n, t in run.net.backbone.state_dict().items() if t.is_floating_point()}
        safetensors_file.write(options.save, weights, {"arch": options.arch, "stem": options.stem, "width": str(options.width)})
    print(json.dumps(report))


if __name__ == "__main__":
    main()
