"""The networks Kagami has, in PyTorch, with torchvision's parameter names and without the classifier."""

from torch import nn
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet

BLOCKS = {"resnet18": (BasicBlock, [2, 2, 2, 2]), "resnet34": (BasicBlock, [3, 4, 6, 3]),
          "resnet50": (Bottleneck, [3, 4, 6, 3]), "resnet101": (Bottleneck, [3, 4, 23, 3])}


def set_stem(net, stem, width):
    """`cifar`: 3x3 stride 1; `cifar-s2`: 3x3 stride 2; both without max pool. `imagenet` is torchvision's own."""
    if stem != "imagenet":
        net.conv1 = nn.Conv2d(3, width, 3, stride=2 if stem == "cifar-s2" else 1, padding=1, bias=False)
        nn.init.kaiming_normal_(net.conv1.weight, mode="fan_out", nonlinearity="relu")
        net.maxpool = nn.Identity()


class SmallResNet(nn.Module):
    """ResNet-8/14/20: three stages of (depth-2)/6 basic blocks, widths w, 2w, 4w, strides 1, 2, 2, 1x1-convolution shortcuts."""

    def __init__(self, depth, width):
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()
        self.maxpool = nn.Identity()
        channels = width
        for stage in range(3):
            out, blocks = width << stage, []
            for block in range((depth - 2) // 6):
                stride = 2 if stage > 0 and block == 0 else 1
                shortcut = None
                if stride != 1 or channels != out:
                    shortcut = nn.Sequential(nn.Conv2d(channels, out, 1, stride=stride, bias=False), nn.BatchNorm2d(out))
                blocks.append(BasicBlock(channels, out, stride, shortcut))
                channels = out
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x):
        x = self.relu(self.bn1(self.conv1(x)))
        return self.layer3(self.layer2(self.layer1(x))).mean((2, 3))


def backbone(arch, stem, width=16):
    """h = global average pool of the last stage; `width` is that of the small family's first stage."""
    if arch in BLOCKS:
        net = ResNet(*BLOCKS[arch])
        set_stem(net, stem, 64)
        net.fc = nn.Identity()
        return net
    net = SmallResNet(int(arch.removeprefix("resnet")), width)
    set_stem(net, stem, width)
    return net


def zero_last_scales(net):
    """The last batch norm of every residual block begins with a scale of 0: each block begins as the identity."""
    for module in net.modules():
        if isinstance(module, (BasicBlock, Bottleneck)):
            nn.init.zeros_((module.bn2 if isinstance(module, BasicBlock) else module.bn3).weight)


def features_of(arch, width=16):
    """The width of h."""
    return 4 * width if arch not in BLOCKS else 512 * BLOCKS[arch][0].expansion


class ScaleOnlyBatchNorm(nn.BatchNorm1d):
    """Batch norm with a scale and no bias: the last layer of SimCLR's official projector."""

    def __init__(self, features):
        super().__init__(features)
        self.register_parameter("bias", None)


def projector(inputs, hidden, outputs, last_bias=False):
    """SimCLR's: Linear(no bias) - BN - ReLU - Linear(no bias) - BN."""
    last = nn.BatchNorm1d(outputs) if last_bias else ScaleOnlyBatchNorm(outputs)
    return nn.Sequential(nn.Linear(inputs, hidden, bias=False), nn.BatchNorm1d(hidden), nn.ReLU(),
                         nn.Linear(hidden, outputs, bias=False), last)


def mlp(widths, norm):
    """Linear (- BN) - ReLU for every layer; with batch norm the Linear has no bias."""
    layers = []
    for inputs, outputs in zip(widths, widths[1:]):
        layers += [nn.Linear(inputs, outputs, bias=not norm)] + ([nn.BatchNorm1d(outputs)] if norm else []) + [nn.ReLU()]
    return nn.Sequential(*layers)
