"""The distinct convolutions of the benchmark's networks: ResNet-18 CIFAR (batch 64), ResNet-20 and ResNet-8 width 16 (batch 256)."""

PASSES = ("forward", "dgrad", "wgrad")


def layers():
    """[(network, kind, (n, h, w, c, k, r, s, stride, pad))], h and w of the input; kind: 3x3, strided, 1x1."""
    found = []
    for network, batch, widths in (("resnet18", 64, (64, 128, 256, 512)), ("resnet20, resnet8", 256, (16, 32, 64))):
        found.append((network, "3x3", (batch, 32, 32, 3, widths[0], 3, 3, 1, 1)))
        for stage, width in enumerate(widths):
            size = 32 >> stage
            found.append((network, "3x3", (batch, size, size, width, width, 3, 3, 1, 1)))
            if stage + 1 < len(widths):
                found.append((network, "strided", (batch, size, size, width, 2 * width, 3, 3, 2, 1)))
                found.append((network, "1x1", (batch, size, size, width, 2 * width, 1, 1, 2, 0)))
    return found


def passes(shape):
    """The image needs no gradient: the stem has no dgrad."""
    return [p for p in PASSES if not (p == "dgrad" and shape[3] == 3)]


def gflop(shape):
    n, h, w, c, k, r, s, stride, pad = shape
    out_h, out_w = (h + 2 * pad - r) // stride + 1, (w + 2 * pad - s) // stride + 1
    return 2e-9 * n * out_h * out_w * c * k * r * s


def request(which, shape):
    return " ".join([which, *map(str, shape)])


def parse(line):
    which, *numbers = line.split()
    if which not in PASSES or len(numbers) != 9:
        raise ValueError(f"expected PASS n h w c k r s stride pad, got: {line}")
    return which, tuple(map(int, numbers))
