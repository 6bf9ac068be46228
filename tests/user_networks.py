"""Networks as users write them, each with what makes it awkward to look into, and their rows."""

from __future__ import annotations

import numpy as np
from taskrsa.networks.network import Network
from taskrsa.networks.table import network
from torch import nn

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)


def row(loader: str = "user_networks:Residual", **changes: str) -> Network:
    cells = {"name": "net", "loader": loader, "mean": "0.5", "std": "0.5", "channels": "rgb"}
    return network(cells | changes)


class Block(nn.Module):
    """A residual block that rectifies in place, with one ReLU for all its places."""

    def __init__(self, width):
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        y = self.conv2(self.relu(self.conv1(x)))
        y += x
        return self.relu(y)


class Residual(nn.Module):
    def __init__(self, width=4, blocks=(2, 3), inputs=3):
        super().__init__()
        self.stem = nn.Conv2d(inputs, width, 3, stride=2, padding=1)
        self.layer1 = nn.Sequential(*(Block(width) for _ in range(blocks[0])))
        self.layer2 = nn.Sequential(*(Block(width) for _ in range(blocks[1])))
        self.unused = nn.Linear(2, 2)
        self.pool = nn.AdaptiveAvgPool2d(4)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(16 * width, 10)

    def forward(self, x):
        x = self.layer2(self.layer1(self.stem(x)))
        # As old code does: refuses other layouts than the standard one.
        return self.head(self.drop(self.pool(x).view(len(x), -1)))


class Tokens(nn.Module):
    """Patches as tokens before the images, a transformer, and a packed output."""

    def __init__(self, images_first=True):
        super().__init__()
        self.images_first = images_first
        self.patch = nn.Conv2d(3, 16, 8, stride=8)
        layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=images_first)
        self.blocks = nn.TransformerEncoder(layer, 3, enable_nested_tensor=False)
        self.pack = Pack()
        self.head = nn.Linear(16, 10)

    def forward(self, x):
        x = self.patch(x).flatten(2)
        x = self.blocks(x.permute(0, 2, 1) if self.images_first else x.permute(2, 0, 1))
        packed = self.pack(x)
        x = packed["hidden"][0].mean(1 if self.images_first else 0)
        return {"logits": self.head(x)}


class Pack(nn.Module):
    def forward(self, x):
        return {"hidden": (x, None)}


class Fickle(nn.Module):
    """Reaches its first layer by bright images only."""

    def __init__(self):
        super().__init__()
        self.bright, self.all = nn.Conv2d(3, 2, 3), nn.Conv2d(3, 2, 3)

    def forward(self, x):
        if x.mean() > -1:
            self.bright(x)
        return self.all(x)


class Overflow(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Conv2d(3, 2, 3)
        self.scale.weight.data.fill_(3e38)

    def forward(self, x):
        return self.scale(x).exp() - 1


def fails():
    return {}["no such key"]


def lazy():
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(2))


def text():
    return "no network"
