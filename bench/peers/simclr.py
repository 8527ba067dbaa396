"""SimCLR's network and loss in PyTorch, as plainly and as fast as eager PyTorch does them."""

import pathlib
import sys

import torch
from torch import nn
from torch.nn import functional as F

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests/reference"))
import models  # noqa: E402


class SimCLR(nn.Module):
    """backbone -> h -> projector (Linear - BN - ReLU - Linear - BN, no biases but BN's) -> z"""

    def __init__(self, arch, stem, width=16, hidden=None, outputs=128):
        super().__init__()
        self.backbone = models.backbone(arch, stem, width)
        features = models.features_of(arch, width)
        self.projector = models.projector(features, hidden or features, outputs)

    def forward(self, x):
        return self.projector(self.backbone(x))


def nt_xent(a, b, temperature):
    """Mean over the 2N views of -log softmax of their cosine with the other view of the same image, self excluded."""
    z = F.normalize(torch.cat([a, b]), dim=1)
    similarity = (z @ z.t() / temperature).fill_diagonal_(float("-inf"))
    return F.cross_entropy(similarity, torch.arange(len(z)).roll(len(a)))
