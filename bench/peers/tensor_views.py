"""SimCLR's augmentation of a whole batch at once with PyTorch tensors: random resized crop, flip, colour jitter, grayscale.

Everything happens on the generator's device. The arithmetic is torchvision's tensor path in float ([0, 1], clamped after each operation); parameters are drawn per image, the order of the four
jitter operations per batch. Images of one size; crops are never larger than the output, so bilinear needs no antialiasing.
"""

import math

import torch

GRAY = (0.2989, 0.587, 0.114)


def crop_boxes(n, size, scale, generator):
    """torchvision's rule with ten tries, then the central crop. Returns (top, left, height, width), each int64 [n]."""
    area = size * size * torch.empty(n, 10, device=generator.device).uniform_(*scale, generator=generator)
    ratio = torch.empty(n, 10, device=generator.device).uniform_(math.log(3 / 4), math.log(4 / 3), generator=generator).exp()
    width, height = (area * ratio).sqrt().round().long(), (area / ratio).sqrt().round().long()
    fits = (width > 0) & (width <= size) & (height > 0) & (height <= size)
    first = fits.long().argmax(1, keepdim=True)
    width, height = width.gather(1, first).squeeze(1), height.gather(1, first).squeeze(1)
    width[~fits.any(1)] = height[~fits.any(1)] = size
    top = (torch.rand(n, generator=generator, device=generator.device) * (size - height + 1)).floor().long()
    left = (torch.rand(n, generator=generator, device=generator.device) * (size - width + 1)).floor().long()
    return top, left, height, width


def interpolation(first, length, size, flip=None):
    """[n, size, size] matrices: row o weighs the source pixels of output o of a crop; `flip` [n] reverses the outputs."""
    source = (torch.arange(size, device=first.device) + 0.5) * (length / size).unsqueeze(1) - 0.5
    source = source.clamp(min=0).minimum((length - 1).unsqueeze(1).float())
    low = source.floor()
    fraction = source - low
    low = low.long()
    high = torch.minimum(low + 1, (length - 1).unsqueeze(1))
    matrix = torch.zeros(len(first), size, size, device=first.device)
    matrix.scatter_add_(2, (low + first.unsqueeze(1)).unsqueeze(2), (1 - fraction).unsqueeze(2))
    matrix.scatter_add_(2, (high + first.unsqueeze(1)).unsqueeze(2), fraction.unsqueeze(2))
    return matrix if flip is None else torch.where(flip.view(-1, 1, 1), matrix.flip(1), matrix)


def crop_resize_flip(x, scale, generator):
    n, _, size, _ = x.shape
    top, left, height, width = crop_boxes(n, size, scale, generator)
    rows = interpolation(top, height, size)
    columns = interpolation(left, width, size, torch.rand(n, generator=generator, device=generator.device) < 0.5)
    return rows.unsqueeze(1) @ x @ columns.unsqueeze(1).transpose(2, 3)


def gray(x):
    return (x * torch.tensor(GRAY, device=x.device).view(1, 3, 1, 1)).sum(1, keepdim=True)


def blend(x, other, factor):
    return (factor * x + (1 - factor) * other).clamp_(0, 1)


def shift_hue(x, delta):
    """RGB -> HSV, hue + delta (a fraction of a turn), HSV -> RGB."""
    high, low = x.amax(1), x.amin(1)
    chroma = high - low
    safe = torch.where(chroma == 0, 1.0, chroma)
    r, g, b = ((high.unsqueeze(1) - x) / safe.unsqueeze(1)).unbind(1)
    red, green = x[:, 0] == high, x[:, 1] == high
    hue = torch.where(red, b - g, torch.where(green, 2 + r - b, 4 + g - r)) / 6
    hue = ((hue + delta.view(-1, 1, 1)) % 1) * 6
    shifts = torch.tensor([5.0, 3.0, 1.0], device=x.device).view(1, 3, 1, 1)
    k = (hue.unsqueeze(1) + shifts) % 6
    return high.unsqueeze(1) - chroma.unsqueeze(1) * torch.minimum(k, 4 - k).clamp(0, 1)


def jitter(x, strength, generator):
    brightness, contrast, saturation, hue = strength
    n = len(x)

    def factor(width):
        return torch.empty(n, 1, 1, 1, device=generator.device).uniform_(max(0, 1 - width), 1 + width, generator=generator)

    for which in torch.randperm(4, generator=generator, device=generator.device).tolist():
        if which == 0:
            x = (x * factor(brightness)).clamp_(0, 1)
        elif which == 1:
            x = blend(x, gray(x).mean((2, 3), keepdim=True), factor(contrast))
        elif which == 2:
            x = blend(x, gray(x), factor(saturation))
        else:
            x = shift_hue(x, torch.empty(n, device=generator.device).uniform_(-hue, hue, generator=generator))
    return x


def apply_to_some(x, probability, function, generator):
    chosen = torch.rand(len(x), generator=generator, device=generator.device) < probability
    if generator.device.type != "cpu":  # a GPU is faster with all of them than with a host that waits to hear which
        return torch.where(chosen.view(-1, 1, 1, 1), function(x), x)
    chosen = chosen.nonzero().squeeze(1)
    if len(chosen):
        x[chosen] = function(x[chosen])
    return x


def view(images, scale, strength, generator):
    """uint8 [n, 3, s, s] -> float [n, 3, s, s] in [0, 1], one random view of each image."""
    x = crop_resize_flip(images.float().div_(255), scale, generator)
    x = apply_to_some(x, 0.8, lambda y: jitter(y, strength, generator), generator)
    return apply_to_some(x, 0.2, lambda y: gray(y).expand(-1, 3, -1, -1), generator)
