#!/usr/bin/env python3
"""Checks that weights move between Kagami and torchvision. Exit code 0: they do, 1: they do not, 77: skipped (no torch here).

    torchvision_weights.py FILE                          FILE (safetensors from Kagami) fills a torchvision ResNet, and comes back the same
    torchvision_weights.py FILE --images FOLDER --features F.npy     besides: `kagami embed` on FOLDER gave what torchvision gives
    torchvision_weights.py --make FILE                   writes a torchvision ResNet's random weights, for Kagami to read
    torchvision_weights.py --kagami PROGRAM              both directions with the program itself: what ctest runs

Options: --arch resnet18|resnet34|resnet50|resnet101|resnet8|resnet14|resnet20, --stem imagenet|cifar|cifar-s2. The fully connected
layer is no part of a backbone; `num_batches_tracked` may be absent; tensors outside the backbone (projector, ...) are listed and left alone.
"""

import argparse
import pathlib
import subprocess
import sys
import tempfile

SKIPPED = 77

try:
    import numpy as np
    import torch
    import torchvision  # noqa: F401
except ImportError as error:
    print(f"skipped: {error.name} is not installed (bench/peers/setup.sh makes an environment that has it)")
    sys.exit(SKIPPED)

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "reference"))
import models  # noqa: E402
import safetensors_file  # noqa: E402


IMAGENET = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
CIFAR = [0.4914, 0.4822, 0.4465], [0.2470, 0.2435, 0.2616]


class Failure(Exception):
    pass


def network(options):
    return models.backbone(options.arch, options.stem, options.width)


def floating_state(net):
    return {name: tensor for name, tensor in net.state_dict().items() if tensor.is_floating_point()}


def backbone_of(tensors, path):
    """(prefix, {name without prefix: array}) of the backbone in a file, which may lie under a prefix such as `backbone.`"""
    stems = sorted((name for name in tensors if name.endswith("conv1.weight") and "layer" not in name), key=len)
    if not stems:
        raise Failure(f"{path}: no conv1.weight among {len(tensors)} tensors: no ResNet backbone in it")
    prefix = stems[0].removesuffix("conv1.weight")
    owned = ("conv1.", "bn1.", "layer")
    return prefix, {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix) and n.removeprefix(prefix).startswith(owned)}


def load(options):
    """A network filled from FILE; every tensor must be there with torchvision's name and shape, and no other."""
    tensors, _ = safetensors_file.read(options.file)
    prefix, found = backbone_of(tensors, options.file)
    net = network(options)
    expected = floating_state(net)
    missing, extra = sorted(expected.keys() - found.keys()), sorted(n for n in found.keys() - expected.keys() if not n.endswith("num_batches_tracked"))
    if missing or extra:
        raise Failure(f"{options.file}: missing {missing[:5]} ({len(missing)}), not torchvision's {extra[:5]} ({len(extra)})")
    for name, tensor in expected.items():
        if tuple(tensor.shape) != found[name].shape:
            raise Failure(f"{options.file}: {name} is {list(found[name].shape)}, torchvision's is {list(tensor.shape)}")
        if not np.isfinite(found[name]).all():
            raise Failure(f"{options.file}: {name} has values that are not finite")
    net.load_state_dict({n: torch.from_numpy(found[n]) for n in expected}, strict=False)
    outside = sorted(n for n in tensors if n.removeprefix(prefix) not in found)
    return net.eval(), {n: found[n] for n in expected}, outside


def check_back(net, found):
    for name, tensor in floating_state(net).items():
        if tensor.numpy().tobytes() != found[name].astype(np.float32).tobytes():
            raise Failure(f"{name} did not come back bit for bit")


def side_before_crop(size):
    """Kagami evaluates images of this side without resizing them: above 64 pixels it cuts out the centre, 7/8 of the side."""
    return size if size <= 64 else size * 8 // 7


def read_images(folder, size, mean, std):
    from PIL import Image

    endings = (".png", ".jpg", ".jpeg")
    files = sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.suffix.lower() in endings)
    images = [np.asarray(Image.open(folder / file).convert("RGB"), np.float32) / 255 for file in files]
    edge = (images[0].shape[0] - size) // 2
    images = [image[edge:edge + size, edge:edge + size] for image in images]
    return torch.from_numpy(((np.stack(images) - np.float32(mean)) / np.float32(std)).transpose(0, 3, 1, 2).copy())


def check_features(net, options):
    with torch.no_grad():
        expected = net(read_images(pathlib.Path(options.images), options.size, options.mean, options.std)).numpy()
    given = np.load(options.features)
    if given.shape != expected.shape or given.dtype != np.float32:
        raise Failure(f"{options.features}: {given.dtype} {given.shape}, expected float32 {expected.shape}")
    error = np.linalg.norm(given - expected) / np.linalg.norm(expected)
    if not error <= options.tolerance:
        raise Failure(f"{options.features}: relative difference {error:.2e} from torchvision's features, above {options.tolerance:.0e}")
    return error


def make(options):
    """A whole state dict: with the classifier where the network is torchvision's own, and the batch norms' counters."""
    torch.manual_seed(options.seed)
    net = torchvision.models.get_model(options.arch, weights=None) if options.stem == "imagenet" else network(options)
    with torch.no_grad():
        for name, tensor in floating_state(net).items():
            if tensor.dim() == 1:  # batch norm: unlike its initial values, so that a mix-up shows
                tensor.uniform_(0.5, 1.5)
    safetensors_file.write(options.make, {n: t.numpy() for n, t in net.state_dict().items()}, {"arch": options.arch, "stem": options.stem})
    print(f"wrote {options.make}: {options.arch}, stem {options.stem}")


def compare(options):
    """FILE in torchvision and, where features are given, its features."""
    net, found, outside = load(options)
    check_back(net, found)
    print(f"{options.file}: {len(found)} tensors fill torchvision's {options.arch} and come back bit for bit"
          + (f"; {len(outside)} others: {', '.join(outside[:4])}" if outside else ""))
    if options.features:
        print(f"{options.features}: relative difference from torchvision's features {check_features(net, options):.1e}")


def kagami(options, *arguments):
    done = subprocess.run([options.kagami, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode != 0:
        raise Failure(f"kagami {arguments[0]} ended with {done.returncode}: {done.stderr.strip()}")


def round_trip(options):
    """torchvision's weights through `kagami embed`, then a run's checkpoint and features through torchvision."""
    from PIL import Image

    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        images = folder / "images"
        images.mkdir()
        side = side_before_crop(options.size)
        for number, pixels in enumerate(np.random.default_rng(options.seed).integers(0, 256, (12, side, side, 3), np.uint8)):
            Image.fromarray(pixels).save(images / f"{number:02}.png")
        options.images, options.features = str(images), str(folder / "features.npy")
        options.file = options.make = str(folder / "weights.safetensors")
        make(options)
        network_options = ["--arch", options.arch, "--stem", options.stem]
        kagami(options, "embed", "--weights", options.file, *network_options, "--size", options.size, "--data", images, "--out", options.features)
        # The normalisation that --help names for this stem.
        options.mean, options.std = IMAGENET if options.stem == "imagenet" else CIFAR
        compare(options)
        run = folder / "run"
        kagami(options, "pretrain", "--data", images, *network_options, "--size", options.size, "--augmentation", "smoke", "--blur-kernel", 3,
               "--epochs", 1, "--batch", 6, "--warmup-epochs", 0, "--out", run)
        kagami(options, "embed", "--run", run, "--data", images, "--out", options.features)
        options.mean, options.std = CIFAR
        options.file = str(run / "checkpoint.safetensors")
        compare(options)


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?")
    parser.add_argument("--make", metavar="FILE")
    parser.add_argument("--kagami", metavar="PROGRAM")
    parser.add_argument("--arch", default="resnet18")
    parser.add_argument("--stem", default="imagenet")
    parser.add_argument("--width", type=int, default=16, help="of the small family")
    parser.add_argument("--size", type=int, default=112, help="side of the images that enter the network")
    parser.add_argument("--images", metavar="FOLDER")
    parser.add_argument("--features", metavar="F.npy")
    parser.add_argument("--mean", type=float, nargs=3, default=[0.0, 0.0, 0.0])
    parser.add_argument("--std", type=float, nargs=3, default=[1.0, 1.0, 1.0])
    parser.add_argument("--tolerance", type=float, default=1e-4)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if sum(map(bool, (options.file, options.make, options.kagami))) != 1 or bool(options.images) != bool(options.features):
        parser.error("give FILE, --make FILE or --kagami PROGRAM; --images goes with --features")
    return options


def main():
    options = parse()
    if options.make:
        make(options)
        return 0
    try:
        round_trip(options) if options.kagami else compare(options)
    except (Failure, OSError, ValueError, KeyError) as failure:
        print(f"torchvision_weights: {options.file}: {failure}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
