"""Decoders that turn an encoder's bottleneck into a task's output (paper section 5.2)."""

from __future__ import annotations

import math
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from taskrsa.errors import ConfigError
from taskrsa.networks.encoder import convolution


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
        doublings = _doublings(bottleneck_size, size)
        channels = [bottleneck_channels] + [width] * (doublings + 1)
        self.convolutions = nn.ModuleList(convolution(*both) for both in pairwise(channels))
        self.output = nn.Conv2d(width, outputs, 1)

    def forward(self, bottleneck: Tensor) -> Tensor:
        """Map a bottleneck (N, bottleneck_channels, c, c) to (N, outputs, size, size)."""
        x = self.convolutions[0](bottleneck)
        for convolve in self.convolutions[1:]:
            x = convolve(F.interpolate(x, scale_factor=2, mode="nearest"))
        return self.output(x)


class SmallDecoder(nn.Module):
    """A small model's: four convolutions, the first ones followed by upsampling by 2."""

    def __init__(
        self,
        bottleneck_channels: int,
        bottleneck_size: int,
        outputs: int,
        size: int,
        width: int = 16,
    ):
        super().__init__()
        self.doublings = _doublings(bottleneck_size, size, "1, 2, 4, 8 or 16", most=4)
        channels = (bottleneck_channels, width, width, width)
        self.convolutions = nn.ModuleList(convolution(*both) for both in pairwise(channels))
        self.convolutions.append(nn.Conv2d(width, outputs, 3, padding=1))

    def forward(self, bottleneck: Tensor) -> Tensor:
        """As of `DenseDecoder`."""
        x = bottleneck
        for number, convolve in enumerate(self.convolutions):
            x = convolve(x)
            if number < self.doublings:
                x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        return x


def _doublings(
    bottleneck_size: int, size: int, factors: str = "a power of two", most: float = math.inf
) -> int:
    """Return how often a map doubles from the bottleneck's size to the labels'."""
    doublings = math.log2(size / bottleneck_size)
    if doublings != int(doublings) or not 0 <= doublings <= most:
        raise ConfigError(
            f"label_size: {size} must be the bottleneck's size {bottleneck_size} times {factors}"
        )
    return int(doublings)


class VectorDecoder(nn.Module):
    """Two fully connected layers for classes and for low-dimensional outputs."""

    def __init__(self, bottleneck_channels: int, bottleneck_size: int, outputs: int):
        super().__init__()
        self.hidden = nn.Linear(bottleneck_channels * bottleneck_size**2, 256)
        self.output = nn.Linear(256, outputs)

    def forward(self, bottleneck: Tensor) -> Tensor:
        """Map a bottleneck (N, bottleneck_channels, c, c) to (N, outputs)."""
        return self.output(F.relu(self.hidden(bottleneck.flatten(1))))


class Rescaled(nn.Module):
    """A decoder whose output starts at the mean and scale, (K,) each, of the labels' channels.

    Depth labels vary by a few hundredths around 0.7; without this most steps go into finding that.
    """

    def __init__(self, decoder: nn.Module, mean: Tensor, scale: Tensor):
        super().__init__()
        self.decoder = decoder
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)

    def forward(self, bottleneck: Tensor) -> Tensor:
        """Return what the decoder returns, in the units of the labels."""
        output = self.decoder(bottleneck)
        shape = (1, -1, *[1] * (output.ndim - 2))
        return output * self.scale.view(shape) + self.mean.view(shape)
