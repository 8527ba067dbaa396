"""Reference values of single operations, f64. Activations are NHWC, convolution weights KRSC (Kagami's tensors).

reference() returns {"<case>.<tensor>": array}. A case has its inputs, `y`, `dy` (the upstream gradient) and `d<input>`.
"""

import numpy as np
import torch
from torch.nn import functional as F

import fill


def tensor(case, name, shape, scale=1.0, offset=0.0):
    return torch.from_numpy(fill.values(f"{case}.{name}", shape, scale, offset)).requires_grad_()


def nchw(x):
    return x.permute(0, 3, 1, 2)


def nhwc(x):
    return x.permute(0, 2, 3, 1)


def case(name, inputs, function, **extra):
    """Values and gradients of function(*inputs) under a random upstream gradient; `extra` arrays are stored as they are."""
    y = function(*inputs.values())
    dy = torch.from_numpy(fill.values(f"{name}.dy", tuple(y.shape) or (1,))).reshape(y.shape)
    y.backward(dy)
    found = {"y": y, "dy": dy} | inputs | {f"d{n}": t.grad for n, t in inputs.items() if t.grad is not None}
    arrays = {n: t.detach().contiguous().numpy() for n, t in found.items()} | extra
    return {f"{name}.{n}": a.reshape(a.shape or (1,)) for n, a in arrays.items()}


def pointwise():
    gelu_tanh = lambda x: F.gelu(x, approximate="tanh")  # noqa: E731
    functions = {"relu": torch.relu, "gelu": F.gelu, "gelu_tanh": gelu_tanh, "sigmoid": torch.sigmoid, "tanh": torch.tanh,
                 "exp": torch.exp, "softmax": lambda x: F.softmax(x, 1), "log_softmax": lambda x: F.log_softmax(x, 1),
                 "l2_normalize": lambda x: F.normalize(x, dim=1), "var": lambda x: x.var(1, correction=0),
                 "var_unbiased": lambda x: x.var(1), "mean": lambda x: x.mean(1), "max": lambda x: x.amax(1)}
    found = {}
    for name, function in functions.items():
        found |= case(name, {"x": tensor(name, "x", (5, 7), 4.0)}, function)
    for name, function in {"log": torch.log, "sqrt": torch.sqrt, "pow_1.7": lambda x: x**1.7}.items():
        found |= case(name, {"x": tensor(name, "x", (5, 7), 1.0, 1.5)}, function)
    a, b = (5, 1, 7), (3, 1)
    return found | case("div", {"a": tensor("div", "a", a), "b": tensor("div", "b", b, 1.0, 2.0)}, torch.div)


def batch_norms():
    """momentum .1, eps 1e-5; `running_*` before, `running_*.after` after one train-mode forward. x has a mean far from 0."""
    found = {}
    for mode in ("train", "eval"):
        name = f"batch_norm_{mode}"
        inputs = {"x": tensor(name, "x", (6, 3, 2, 5), 1.0, 4.0), "weight": tensor(name, "weight", (5,), 0.5, 1.0),
                  "bias": tensor(name, "bias", (5,))}
        running = [tensor(name, "running_mean", (5,)).detach(), tensor(name, "running_var", (5,), 0.5, 1.0).detach()]
        after = [r.clone() for r in running]
        extra = dict(zip(("running_mean", "running_var"), (r.numpy() for r in running)))

        def function(x, weight, bias):
            return nhwc(F.batch_norm(nchw(x), *after, weight, bias, mode == "train", 0.1, 1e-5))

        found |= case(name, inputs, function, **extra)
        found |= {f"{name}.running_mean.after": after[0].numpy(), f"{name}.running_var.after": after[1].numpy()}
    return found


def conv_bn_act():
    """relu(batch_norm(conv2d(x, w)) + residual), train mode."""
    name = "conv_bn_act"
    inputs = {"x": tensor(name, "x", (3, 6, 5, 4)), "w": tensor(name, "w", (8, 3, 3, 4), 0.5),
              "weight": tensor(name, "weight", (8,), 0.5, 1.0), "bias": tensor(name, "bias", (8,)),
              "residual": tensor(name, "residual", (3, 6, 5, 8))}

    def function(x, w, weight, bias, residual):
        y = F.batch_norm(F.conv2d(nchw(x), nchw(w), padding=1), None, None, weight, bias, True)
        return torch.relu(nhwc(y) + residual)

    return case(name, inputs, function)


def convolutions():
    """Name: conv2d_<kernel>_s<stride>_p<pad>."""
    found = {}
    for kernel, stride, pad in ((1, 1, 0), (1, 2, 0), (3, 1, 1), (3, 1, 2), (3, 2, 1), (7, 2, 3)):
        name = f"conv2d_{kernel}_s{stride}_p{pad}"
        inputs = {"x": tensor(name, "x", (2, 9, 8, 3)), "w": tensor(name, "w", (5, kernel, kernel, 3))}
        found |= case(name, inputs, lambda x, w: nhwc(F.conv2d(nchw(x), nchw(w), stride=stride, padding=pad)))
    return found


def pools():
    name = "max_pool_3_s2_p1"
    found = case(name, {"x": tensor(name, "x", (2, 9, 8, 3))}, lambda x: nhwc(F.max_pool2d(nchw(x), 3, 2, 1)))
    return found | case("global_avg_pool", {"x": tensor("global_avg_pool", "x", (2, 4, 3, 6))}, lambda x: x.mean((1, 2)))


def matrices():
    found = {}
    a = {"n": (2, 3, 4), "t": (2, 4, 3)}
    b = {"n": (2, 4, 5), "t": (2, 5, 4)}
    for ta in "nt":
        for tb in "nt":
            name = f"matmul_{ta}{tb}"
            inputs = {"a": tensor(name, "a", a[ta]), "b": tensor(name, "b", b[tb])}
            found |= case(name, inputs, lambda p, q: (p.mT if ta == "t" else p) @ (q.mT if tb == "t" else q))
    inputs = {"x": tensor("linear", "x", (4, 6)), "w": tensor("linear", "w", (5, 6)), "b": tensor("linear", "b", (5,))}
    return found | case("linear", inputs, F.linear)


def losses_and_norms():
    name = "layer_norm"  # over the last axis, eps 1e-5
    inputs = {"x": tensor(name, "x", (4, 7), 2.0, 1.0), "weight": tensor(name, "weight", (7,), 0.5, 1.0),
              "bias": tensor(name, "bias", (7,))}
    found = case(name, inputs, lambda x, w, b: F.layer_norm(x, (7,), w, b))
    labels = torch.tensor([2, 0, 4, 4, 1, 3])  # mean over the rows
    x = {"x": tensor("cross_entropy", "x", (6, 5), 4.0)}
    found |= case("cross_entropy", x, lambda x: F.cross_entropy(x, labels), labels=labels.numpy().astype(np.int32))
    rows = torch.tensor([3, 0, 3, 1])
    return found | case("gather_rows", {"x": tensor("gather_rows", "x", (4, 5))}, lambda x: x[rows], rows=rows.numpy().astype(np.int32))


def optimizers():
    """Three steps of p <- step(p, g_i): `p0`, `g` [3, n], `p` [3, n] after each step. lr .1 (AdamW .01)."""
    settings = {
        "sgd": lambda p: torch.optim.SGD(p, lr=0.1),
        "sgd_momentum": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
        "sgd_momentum_decay": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.01),
        "sgd_nesterov_decay": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.01, nesterov=True),
        "adamw": lambda p: torch.optim.AdamW(p, lr=0.01, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01),
    }
    p0, g = fill.values("optimizer.p0", (12,)), fill.values("optimizer.g", (3, 12))
    found = {"optimizer.p0": p0, "optimizer.g": g}
    for name, make in settings.items():
        p = torch.tensor(p0, requires_grad=True)
        optimizer, path = make([p]), []
        for step in range(3):
            p.grad = torch.tensor(g[step])
            optimizer.step()
            path.append(p.detach().numpy().copy())
        found[f"{name}.p"] = np.stack(path)
    return found


def reference():
    parts = (pointwise, batch_norms, conv_bn_act, convolutions, pools, matrices, losses_and_norms, optimizers)
    return {name: array for part in parts for name, array in part().items()}
