#!/usr/bin/env python3
"""The least time a training step can take on a GPU, layer by layer: what no kernel can beat.

    roofline.py                                    ResNet-18 CIFAR (1024 views) and ResNet-50 at 224 px (512 views) on an H200
    roofline.py --network resnet50 --views 256 --bandwidth 3.0        an H100
    roofline.py --dtype fp32 --tflops 50 --layers  every layer and pass
    roofline.py --json                             the same as JSON

The model: every tensor travels once in each direction of a pass, and a convolution takes the longer of its arithmetic and its bytes. Activations
have the bytes of --dtype; weight gradients, optimizer state and statistics are float. Batch norm is counted three ways: `eager` (statistics,
normalisation, ReLU and addition each a pass of its own), `fused` (one pass forward besides the statistics that come with the convolution, two
backward), `folded` (also inside the convolutions that read and write the same tensor). Defaults are what an H200 measured: 790 TFLOP/s in bf16
with random data, 4.3 TB/s copied. Needs nothing but Python.
"""

import argparse
import json
import math
import sys
from dataclasses import dataclass

BYTES = {"bf16": 2, "tf32": 4, "fp32": 4}
TFLOPS = {"bf16": 790.0, "tf32": 395.0, "fp32": 53.0}  # of an H200; tf32 and fp32: the data sheet's, in the proportion that bf16 reaches
BLOCKS = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3), "resnet50": (3, 4, 6, 3), "resnet101": (3, 4, 23, 3)}


@dataclass(frozen=True)
class Layer:
    """A convolution of an image of size x size pixels. `closes`: a residual is added to its output."""

    name: str
    views: int
    size: int
    c: int
    k: int
    kernel: int
    stride: int
    first: bool = False
    closes: bool = False
    relu: bool = True

    @property
    def out(self):
        return (self.size + 2 * (self.kernel // 2) - self.kernel) // self.stride + 1

    @property
    def inputs(self):
        return self.views * self.size**2 * self.c

    @property
    def outputs(self):
        return self.views * self.out**2 * self.k

    @property
    def weights(self):
        return self.k * self.kernel**2 * self.c

    @property
    def flop(self):
        return 2 * self.outputs * self.kernel**2 * self.c

    @property
    def shape(self):
        """n,h,w,c,k,r,s,stride,pad, as kernels_vs_vendor takes it."""
        return (self.views, self.size, self.size, self.c, self.k, self.kernel, self.kernel, self.stride, self.kernel // 2)

    def passes(self, element):
        """[(pass, bytes)]; the image needs no gradient."""
        activations = element * (self.inputs + self.outputs)
        found = [("forward", activations + element * self.weights)]
        if not self.first:
            found.append(("dgrad", activations + element * self.weights))
        return [*found, ("wgrad", activations + 4 * self.weights)]


def layers_of(network, views, size):
    """The convolutions of a torchvision ResNet; with images below 64 pixels its CIFAR stem (3x3, no pooling)."""
    small, bottleneck = size < 64, network in ("resnet50", "resnet101")
    kernel, stride = (3, 1) if small else (7, 2)
    layers = [Layer("stem", views, size, 3, 64, kernel, stride, first=True)]
    size = size if small else math.ceil(size / 4)
    c = 64
    for stage, blocks in enumerate(BLOCKS[network]):
        width = 64 << stage
        k = 4 * width if bottleneck else width
        for block in range(blocks):
            stride = 2 if stage > 0 and block == 0 else 1
            name, out = f"layer{stage + 1}.{block}", math.ceil(size / stride)
            if bottleneck:
                layers.append(Layer(f"{name}.conv1", views, size, c, width, 1, 1))
                layers.append(Layer(f"{name}.conv2", views, size, width, width, 3, stride))
                layers.append(Layer(f"{name}.conv3", views, out, width, k, 1, 1, closes=True))
            else:
                layers.append(Layer(f"{name}.conv1", views, size, c, width, 3, stride))
                layers.append(Layer(f"{name}.conv2", views, out, width, width, 3, 1, closes=True))
            if stride != 1 or c != k:
                layers.append(Layer(f"{name}.downsample", views, size, c, k, 1, stride, relu=False))
            size, c = out, k
    return layers


def batch_norm_bytes(layer, element):
    """{variant: (forward, backward)}. Backward of a block's end also reads the other branch's gradient; its ReLU is remembered as one bit."""
    y, mask = element * layer.outputs, layer.outputs / 8
    closes, relu = layer.closes, layer.relu
    return {
        "eager": (3 * y + 2 * y * relu + 3 * y * closes, 5 * y + 3 * y * relu + 3 * y * closes),
        "fused": (2 * y + (y + mask) * closes, 5 * y + (y + 3 * mask) * closes),
        "folded": (3 * y * closes, 4 * y + y * closes),
    }


def other_bytes(layers, views, size, element, projector):
    """Bytes of a step that are neither convolution nor batch norm, by what they are for."""
    parameters = sum(layer.weights + 2 * layer.k for layer in layers) + sum(a * b for a, b in projector)
    stored = 3 * size * size * (1 if size < 64 else 1.3)  # 8-bit; larger images are stored somewhat larger than their views
    found = {
        "optimizer (LARS)": parameters * (32 if element == 2 else 28),  # weights and momentum read and written, gradient read twice, copy written
        "augmentation": views * (stored + 3 * size * size * element),
    }
    if size >= 64:
        largest = layers[0].outputs * element
        found["max pooling"] = 2 * (1 + 1 / 4 + 1 / 8) * largest
    return parameters, found


def step(network, views, size, options):
    """Everything about one training step, in seconds and bytes."""
    element, flops, bandwidth = BYTES[options.dtype], options.tflops * 1e12, options.bandwidth * 1e12
    layers = layers_of(network, views, size)
    rows = []
    for layer in layers:
        for name, bytes_ in layer.passes(element):
            seconds = max(layer.flop / flops, bytes_ / bandwidth)
            bound = "arithmetic" if layer.flop / flops >= bytes_ / bandwidth else "bandwidth"
            rows.append({"layer": layer.name, "shape": layer.shape, "pass": name, "gflop": layer.flop * 1e-9, "mb": bytes_ * 1e-6,
                         "us": seconds * 1e6, "tflops": layer.flop / seconds * 1e-12, "bound": bound})
    features = layers[-1].k
    projector = [(features, features), (features, 128)]
    parameters, others = other_bytes(layers, views, size, element, projector)
    head = 6 * views * sum(a * b for a, b in projector) + 6 * views * views * 128  # projector and similarities, three passes
    convolutions = sum(row["us"] for row in rows) * 1e-6
    rest = sum(others.values()) / bandwidth + head / flops
    result = {"network": network, "views": views, "size": size, "dtype": options.dtype, "tflops": options.tflops, "bandwidth": options.bandwidth,
              "parameters": parameters, "tflop": sum(row["gflop"] for row in rows) * 1e-3, "convolution_ms": convolutions * 1e3,
              "other_us": {name: bytes_ / bandwidth * 1e6 for name, bytes_ in others.items()} | {"projector and loss": head / flops * 1e6},
              "batch_norm": {}, "rows": rows}
    for variant in ("eager", "fused", "folded"):
        bytes_ = sum(sum(batch_norm_bytes(layer, element)[variant]) for layer in layers)
        seconds = convolutions + rest + bytes_ / bandwidth
        result["batch_norm"][variant] = {"gb": bytes_ * 1e-9, "ms": bytes_ / bandwidth * 1e3, "step_ms": seconds * 1e3,
                                         "views_per_second": views / seconds, "arithmetic_share": result["tflop"] * 1e12 / seconds / flops}
    return result


def print_step(result, every_layer):
    print(f"{result['network']}, {result['size']} px, {result['views']} views, {result['dtype']}: {result['parameters'] / 1e6:.2f} M parameters, "
          f"{result['tflop']:.3f} TFLOP of convolutions a step; at {result['tflops']:g} TFLOP/s and {result['bandwidth']:g} TB/s:")
    if every_layer:
        print(f"  {'layer':20s} {'pass':8s} {'GFLOP':>8s} {'MB':>8s} {'us':>8s} {'TFLOP/s':>8s}  bound")
        for row in result["rows"]:
            print(f"  {row['layer']:20s} {row['pass']:8s} {row['gflop']:8.1f} {row['mb']:8.1f} {row['us']:8.1f} {row['tflops']:8.0f}  {row['bound']}")
    print(f"  convolutions {result['convolution_ms']:.2f} ms; " + ", ".join(f"{name} {us:.0f} us" for name, us in result["other_us"].items()))
    for variant, bn in result["batch_norm"].items():
        print(f"  batch norm {variant:7s} {bn['gb']:7.2f} GB {bn['ms']:7.2f} ms   step {bn['step_ms']:7.2f} ms   {bn['views_per_second']:9.0f} views/s   "
              f"{100 * bn['arithmetic_share']:.0f} % of the arithmetic")


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", choices=[*BLOCKS])
    parser.add_argument("--views", type=int, help="of both augmentations together")
    parser.add_argument("--size", type=int, help="pixels (32: CIFAR stem)")
    parser.add_argument("--dtype", choices=[*BYTES], default="bf16")
    parser.add_argument("--tflops", type=float, help="what the device computes of that type")
    parser.add_argument("--bandwidth", type=float, default=4.3, help="TB/s of a copy, read and written bytes together")
    parser.add_argument("--layers", action="store_true", help="a line for every layer and pass")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    options.tflops = options.tflops or TFLOPS[options.dtype]
    return options


def main():
    options = parse()
    if options.network:
        size = options.size or (32 if options.network in ("resnet18", "resnet34") else 224)
        cases = [(options.network, options.views or (1024 if size < 64 else 512), size)]
    else:
        cases = [("resnet18", options.views or 1024, options.size or 32), ("resnet50", options.views or 512, options.size or 224)]
    results = [step(*case, options) for case in cases]
    if options.json:
        print(json.dumps(results))
        return
    for result in results:
        print_step(result, options.layers)


if __name__ == "__main__":
    sys.exit(main())
