#!/usr/bin/env python3
"""Writes this folder's *.safetensors from PyTorch in f64 (README.md says what they hold).

    python tests/reference/generate.py [CASE ...]        needs torch, torchvision, numpy
"""

import pathlib
import sys

import numpy as np
import torch
from torch import nn

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import fill  # noqa: E402
import models  # noqa: E402
import ops  # noqa: E402
import safetensors_file  # noqa: E402

HERE = pathlib.Path(__file__).parent
STORED_WHOLE = 256  # gradients and running statistics of at most so many elements are stored whole
MARGIN = 2e-5  # how far, of their rms, ReLU's inputs keep from zero and max pool's candidates from each other
SALTS = 40

# case -> (model, shape of x, NHWC for images)
CASES = {
    "resnet8_cifar": (lambda: models.backbone("resnet8", "cifar"), (4, 32, 32, 3)),
    "resnet8_cifar-s2": (lambda: models.backbone("resnet8", "cifar-s2"), (8, 32, 32, 3)),
    "resnet14_cifar": (lambda: models.backbone("resnet14", "cifar"), (4, 32, 32, 3)),
    "resnet20_cifar": (lambda: models.backbone("resnet20", "cifar"), (4, 32, 32, 3)),
    "resnet18_cifar": (lambda: models.backbone("resnet18", "cifar"), (4, 16, 16, 3)),
    "resnet18_cifar-s2": (lambda: models.backbone("resnet18", "cifar-s2"), (4, 32, 32, 3)),
    "resnet18_imagenet": (lambda: models.backbone("resnet18", "imagenet"), (4, 64, 64, 3)),
    "resnet34_cifar-s2": (lambda: models.backbone("resnet34", "cifar-s2"), (4, 32, 32, 3)),
    "resnet50_imagenet": (lambda: models.backbone("resnet50", "imagenet"), (4, 64, 64, 3)),
    "resnet101_imagenet": (lambda: models.backbone("resnet101", "imagenet"), (4, 64, 64, 3)),
    "projector": (lambda: models.projector(64, 128, 32), (16, 64)),
    "projector_bias": (lambda: models.projector(64, 128, 32, last_bias=True), (16, 64)),
    "mlp": (lambda: models.mlp([48, 64, 32], norm=False), (8, 48)),
    "mlp_bn": (lambda: models.mlp([48, 64, 32], norm=True), (8, 48)),
}


def set_parameters(net):
    with torch.no_grad():
        for name, tensor in list(net.named_parameters()) + list(net.named_buffers()):
            if tensor.is_floating_point():
                tensor.copy_(torch.from_numpy(fill.parameter(name, tuple(tensor.shape))))


def nhwc(tensor):
    array = tensor.detach().double()
    return (array.permute(0, 2, 3, 1) if array.dim() == 4 else array).contiguous().numpy()


def input_of(shape, salt, dtype):
    x = torch.from_numpy(fill.values(f"x.{salt}", shape, 2.0)).to(dtype)
    return x.permute(0, 3, 1, 2).contiguous() if x.dim() == 4 else x


def margin(net, x):
    """How near the forward pass of x comes to a decision (a ReLU's sign, a max pool's winner) that rounding could turn."""
    found = [np.inf]

    def relu(module, inputs):
        y = inputs[0]
        found.append((y.abs().min() / y.square().mean().sqrt()).item())

    def max_pool(module, inputs):
        y = nn.functional.pad(inputs[0], (1, 1, 1, 1))
        first, second = y.unfold(2, 3, 2).unfold(3, 3, 2).flatten(4).topk(2, -1).values.unbind(-1)
        found.append(((first - second)[first > 0].min() / y.square().mean().sqrt()).item())

    hooks = [m.register_forward_pre_hook(relu if isinstance(m, nn.ReLU) else max_pool)
             for m in net.modules() if isinstance(m, (nn.ReLU, nn.MaxPool2d))]
    with torch.no_grad():
        net(x)
    for hook in hooks:
        hook.remove()
    return min(found)


def choose_salt(make, shape):
    """The first salt of x whose margin is at least MARGIN, or the one with the widest."""
    best, widest = 0, -1.0
    net = make().double().train()
    for salt in range(SALTS):
        set_parameters(net)
        width = margin(net, input_of(shape, salt, torch.float64))
        if width > widest:
            best, widest = salt, width
        if widest >= MARGIN:
            break
    return best, widest


def run(make, shape, salt, dtype):
    """One train-mode forward and backward, then an eval-mode forward: {"h", "gradient", "running", "eval.h", "stage"}."""
    net = make().to(dtype)
    set_parameters(net)
    x = input_of(shape, salt, dtype)
    stage = {}
    for name, module in net.named_children():
        if name.startswith("layer"):
            module.register_forward_hook(lambda m, i, y, name=name: stage.__setitem__(name, nhwc(y)))
    h = net.train()(x)
    upstream = torch.from_numpy(fill.values("upstream", tuple(h.shape))).to(dtype)
    loss = (h * upstream).sum()
    loss.backward()
    result = {"loss": np.array([loss.item()], np.float64), "h": nhwc(h), "stage": dict(stage),
              "gradient": {n: p.grad.double().numpy() for n, p in net.named_parameters()},
              "running": {n: b.double().numpy().copy() for n, b in net.named_buffers() if "running" in n}}
    with torch.no_grad():
        result["eval.h"] = nhwc(net.eval()(x))
    return result


def relative(a, b):
    """Relative Frobenius error of a against b, over arrays or whole dictionaries of them."""
    if isinstance(b, dict):
        a, b = (np.concatenate([d[n].ravel() for n in sorted(b)]) for d in (a, b))
    return np.array([np.linalg.norm(a - b) / np.linalg.norm(b)])


def summary(tensor):
    """[norm, probe 0, probe 1, ...]"""
    return np.concatenate([[np.linalg.norm(tensor)], fill.probes(tensor)])


def reference(make, shape):
    salt, width = choose_salt(make, shape)
    exact, single = run(make, shape, salt, torch.float64), run(make, shape, salt, torch.float32)
    tensors = {"x.shape": np.array(shape, np.int64), "salt": np.array([salt], np.int64), "margin": np.array([width]),
               "loss": exact["loss"], "h": exact["h"], "eval.h": exact["eval.h"]}
    tensors |= {f"probes.stage.{n}": summary(y) for n, y in exact["stage"].items()}
    for kind in ("gradient", "running"):
        for name, tensor in exact[kind].items():
            tensors[f"probes.{kind}.{name}"] = summary(tensor)
            if tensor.size <= STORED_WHOLE:
                tensors[f"{kind}.{name}"] = tensor
    for what in ("h", "eval.h", "gradient", "running"):
        if len(exact[what]):
            tensors[f"torch_f32_error.{what}"] = relative(single[what], exact[what])
    estimate = [fill.probes(single["gradient"][n] - g) for n, g in exact["gradient"].items()]
    total = sum(np.linalg.norm(g) ** 2 for g in exact["gradient"].values())
    tensors["torch_f32_error.gradient_by_probes"] = np.array([np.sqrt(np.sum(np.square(estimate)) / fill.PROBES / total)])
    return tensors


def main():
    torch.manual_seed(0)
    metadata = {"torch": torch.__version__, "written_by": "tests/reference/generate.py"}
    wanted = sys.argv[1:] or [*CASES, "ops"]
    for case in wanted:
        tensors = ops.reference() if case == "ops" else reference(*CASES[case])
        path = HERE / f"{case}.safetensors"
        safetensors_file.write(path, tensors, metadata)
        errors = "  ".join(f"{n.removeprefix('torch_f32_error.')} {t[0]:.1e}" for n, t in sorted(tensors.items())
                           if n.startswith("torch_f32") or n in ("salt", "margin"))
        print(f"{path.name}: {len(tensors)} tensors, {path.stat().st_size / 1024:.0f} KiB; {errors}", flush=True)


if __name__ == "__main__":
    main()
