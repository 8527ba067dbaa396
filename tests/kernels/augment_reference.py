#!/usr/bin/env python3
"""Writes augment_reference.h: torchvision's tensor path on a small image, to compare the augmentation with.

Usage: python3 tests/kernels/augment_reference.py > tests/kernels/augment_reference.h   (needs torch and torchvision)
"""
import torch
import torchvision
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as F

MODES = {"bilinear": InterpolationMode.BILINEAR, "bicubic": InterpolationMode.BICUBIC}


def image(height, width):
    y, x, c = torch.meshgrid(torch.arange(height), torch.arange(width), torch.arange(3), indexing="ij")
    pixels = (37 * (width * y + x) + 53 * c + 11 * y * x) % 256
    return pixels.permute(2, 0, 1).to(torch.uint8)


def as_float(pixels):
    return F.convert_image_dtype(pixels, torch.float32)


def emit(name, view):
    values = view.clamp(0, 1).permute(1, 2, 0).flatten().tolist()
    print(f"\nconstexpr float {name}[] = {{")
    for i in range(0, len(values), 9):
        print("    " + ", ".join(f"{v:.7f}F" for v in values[i : i + 9]) + ",")
    print("};")


def crops():
    """(name, image height, width, top, left, crop height, width, output size)"""
    for name, (h, w, top, left, ch, cw, size) in {
        "up": (12, 10, 3, 2, 4, 5, 9),
        "down": (23, 31, 1, 4, 21, 26, 5),
    }.items():
        for mode, value in MODES.items():
            out = F.resized_crop(as_float(image(h, w)), top, left, ch, cw, [size, size], value, antialias=True)
            emit(f"crop_{name}_{mode}", out)


def evaluation():
    for mode, value in MODES.items():
        x = F.resize(as_float(image(17, 29)), [8], value, antialias=True)
        emit(f"evaluation_{mode}", F.center_crop(x, [6, 6]))


def chain():
    """Crop, flip, hue, contrast, brightness, saturation, blur, solarize: one whole view in the SimCLR order."""
    x = F.resized_crop(as_float(image(12, 10)), 2, 1, 9, 8, [7, 7], MODES["bilinear"], antialias=True)
    x = F.hflip(x)
    x = F.adjust_hue(x, 0.31)
    x = F.adjust_contrast(x, 1.3)
    x = F.adjust_brightness(x, 0.9)
    x = F.adjust_saturation(x, 0.6)
    emit("chain_jitter", x)
    x = F.gaussian_blur(x, [7, 7], [1.7, 1.7])
    emit("chain_blur", x)
    emit("chain_solarize", F.solarize(x, 0.5))
    emit("chain_gray", F.rgb_to_grayscale(x, num_output_channels=3))


print("#pragma once")
print("// Written by augment_reference.py: views as torchvision's tensor path makes them, [size, size, 3], clamped to [0, 1].")
print(f"// torch {torch.__version__.split('+')[0]}, torchvision {torchvision.__version__.split('+')[0]}")
print("\n// clang-format off\nnamespace kagami::reference {")
crops()
evaluation()
chain()
print("\n}  // namespace kagami::reference")
