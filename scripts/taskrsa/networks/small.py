"""The small models that stand for a task of which there is little data (paper section 5.2).

An encoder of four convolutions whose bottleneck has the bank's dimensions, and a decoder of four
convolutions, each followed by upsampling.
"""

from __future__ import annotations

import math
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from taskrsa.errors import ConfigError
from taskrsa.networks.spec import SMALL_CONVOLUTIONS, SmallSpec


def _convolution(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


class SmallEncoder(nn.Module):
    """Four convolutions; the last one's output is the bottleneck, as compressed as the bank's.

    At 256 x 256 and the paper's reduction the bottleneck is 8 x 16 x 16.
    """

    def __init__(self, spec: SmallSpec | None = None):
        super().__init__()
        self.spec = spec = spec or SmallSpec()
        width = spec.width
        channels = (spec.input_channels, width, 2 * width, 4 * width, spec.bottleneck_channels)
        self.convolutions = nn.ModuleList(
            _convolution(inputs, outputs, stride)
            for (inputs, outputs), stride in zip(pairwise(channels), spec.strides, strict=True)
        )

    def features(self, images: Tensor) -> dict[str, Tensor]:
        """Return the bottleneck as the tap "compressed", the name of the bank's.

        Parameters
        ----------
        images : (N, input_channels, H, W) tensor in [-1, 1]
        """
        return {"compressed": self(images)}

    def forward(self, images: Tensor) -> Tensor:
        """Return the bottleneck, (N, bottleneck_channels, H / reduction, W / reduction)."""
        x = images
        for convolution in self.convolutions:
            x = convolution(x)
        return x


class SmallDecoder(nn.Module):
    """Four convolutions, each followed by upsampling by 2 until the label map's size is reached."""

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
        if doublings != int(doublings) or not 0 <= doublings <= SMALL_CONVOLUTIONS:
            raise ConfigError(
                f"label_size: {size} must be the bottleneck's size {bottleneck_size} times 1, 2, "
                "4, 8 or 16"
            )
        self.doublings = int(doublings)
        channels = (bottleneck_channels, width, width, width)
        self.convolutions = nn.ModuleList(
            [_convolution(before, after) for before, after in pairwise(channels)]
            + [nn.Conv2d(width, outputs, 3, padding=1)]
        )

    def forward(self, bottleneck: Tensor) -> Tensor:
        """Map a bottleneck (N, bottleneck_channels, c, c) to (N, outputs, size, size)."""
        x = bottleneck
        for number, convolution in enumerate(self.convolutions):
            x = convolution(x)
            if number < self.doublings:
                x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        return x
