"""Decoders that turn an encoder's bottleneck into a task's output (paper section 5.2)."""

from __future__ import annotations

import math
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from taskrsa.errors import ConfigError


class DenseDecoder(nn.Module):
    """Convolutions, each followed by upsampling, up to the size of the label map."""

    def __init__(
        self,
        bottleneck_channels: int,
        bottleneck_size: int,
        outputs: int,
        size: int,
        width: int = 16,
    ):
        super().__init__()
        doublings = math.log2(size / bottleneck_size)
        if doublings < 0 or doublings != int(doublings):
            raise ConfigError(
                f"label_size: {size} must be the bottleneck's size {bottleneck_size} times a power "
                "of two"
            )
        self.doublings = int(doublings)
        channels = [bottleneck_channels] + [width] * (self.doublings + 1)
        self.convolutions = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()
            )
            for before, after in pairwise(channels)
        )
        self.output = nn.Conv2d(width, outputs, 1)

    def forward(self, bottleneck: Tensor) -> Tensor:
        """Map a bottleneck (N, bottleneck_channels, c, c) to (N, outputs, size, size)."""
        x = self.convolutions[0](bottleneck)
        for convolution in self.convolutions[1:]:
            x = convolution(F.interpolate(x, scale_factor=2, mode="nearest"))
        return self.output(x)


class Rescaled(nn.Module):
    """A decoder whose output starts at the mean and scale of the labels.

    Depth labels vary by a few hundredths around 0.7; without this most steps go into finding that.
    """

    def __init__(self, decoder: nn.Module, mean: Tensor, scale: Tensor):
        """mean, scale: (K,) of each channel of the labels."""
        super().__init__()
        self.decoder = decoder
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)

    def forward(self, bottleneck: Tensor) -> Tensor:
        """Return what the decoder returns, in the units of the labels."""
        output = self.decoder(bottleneck)
        shape = (1, -1, *[1] * (output.ndim - 2))
        return output * self.scale.view(shape) + self.mean.view(shape)


class VectorDecoder(nn.Module):
    """Two fully connected layers for classes and for low-dimensional outputs."""

    def __init__(
        self, bottleneck_channels: int, bottleneck_size: int, outputs: int, width: int = 256
    ):
        super().__init__()
        self.hidden = nn.Linear(bottleneck_channels * bottleneck_size**2, width)
        self.output = nn.Linear(width, outputs)

    def forward(self, bottleneck: Tensor) -> Tensor:
        """Map a bottleneck (N, bottleneck_channels, c, c) to (N, outputs)."""
        return self.output(F.relu(self.hidden(bottleneck.flatten(1))))
