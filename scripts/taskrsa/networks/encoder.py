"""The encoders that are trained here: the Taskonomy bank's, and the small models'.

Both take images (N, input_channels, H, W) in [-1, 1] and put out the bottleneck, (N,
bottleneck_channels, H / reduction, W / reduction), which is the tap "compressed" of `features`.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from taskrsa.networks.spec import EncoderSpec, SmallSpec

LAYERS = ("block1", "block2", "block3", "block4", "compressed")
EXPANSION = 4  # a bottleneck's output is four times its inner width


def convolution(
    inputs: int, outputs: int, kernel: int = 3, stride: int = 1, rate: int = 1
) -> nn.Sequential:
    """Build a convolution with batch norm and ReLU; stride 1 keeps the size."""
    padding = rate * (kernel // 2)
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding, rate, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


class Bottleneck(nn.Module):
    """1 x 1, 3 x 3, 1 x 1 convolutions with a shortcut; the 3 x 3 strides."""

    def __init__(self, inputs: int, width: int, stride: int = 1, shortcut: nn.Module | None = None):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, width * EXPANSION, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(width * EXPANSION)
        self.downsample = shortcut

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.conv2(x)))
        return F.relu(self.bn3(self.conv3(x)) + shortcut)


def _block(inputs: int, width: int, units: int, stride: int) -> nn.Sequential:
    """Build one stage: the first unit widens, the last one strides."""
    outputs = width * EXPANSION
    # With a single unit, the widening shortcut has to stride as well.
    first_stride = stride if units == 1 else 1
    widen = nn.Sequential(
        nn.Conv2d(inputs, outputs, 1, stride=first_stride, bias=False), nn.BatchNorm2d(outputs)
    )
    parts = [Bottleneck(inputs, width, first_stride, widen)]
    parts += [Bottleneck(outputs, width) for _ in range(units - 2)]
    if units > 1:
        # The bank's strided shortcut has no weights: it keeps every second pixel.
        subsample = nn.Sequential(nn.MaxPool2d(1, stride)) if stride > 1 else None
        parts.append(Bottleneck(outputs, width, stride, subsample))
    return nn.Sequential(*parts)


class TaskonomyEncoder(nn.Module):
    """The bank's: a ResNet-50 whose stages stride in their last unit, whose stem pads by hand, and
    of which a 3 x 3 convolution compresses the last block to 8 channels (paper section 5.2).

    Parameter names are those of the public PyTorch checkpoints, so that these load strictly. At
    256 x 256 the published size yields block1 256 x 32 x 32, block2 512 x 16 x 16, block3
    1024 x 16 x 16, block4 2048 x 16 x 16 and the compressed output 8 x 16 x 16.
    """

    def __init__(self, spec: EncoderSpec | None = None):
        super().__init__()
        self.spec = spec = spec or EncoderSpec()
        self.conv1 = nn.Conv2d(spec.input_channels, spec.width, 7, stride=2, bias=False)
        self.bn1 = nn.BatchNorm2d(spec.width)
        inputs = spec.width
        for number, (units, stride) in enumerate(zip(spec.units, spec.strides, strict=True)):
            width = spec.width * 2**number
            setattr(self, f"layer{number + 1}", _block(inputs, width, units, stride))
            inputs = width * EXPANSION
        self.compress1 = nn.Conv2d(inputs, spec.bottleneck_channels, 3, padding=1, bias=False)
        self.compress_bn = nn.BatchNorm2d(spec.bottleneck_channels)

    def features(self, images: Tensor) -> dict[str, Tensor]:
        """Return every tap, by layer name in the order of `LAYERS`."""
        x = F.pad(images, (3, 3, 3, 3))
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.max_pool2d(x, 3, 2, ceil_mode=True)
        taps = {}
        for number in range(1, 5):
            x = getattr(self, f"layer{number}")(x)
            taps[f"block{number}"] = x
        taps["compressed"] = F.relu(self.compress_bn(self.compress1(x)))
        return taps

    def forward(self, images: Tensor) -> Tensor:
        return self.features(images)["compressed"]


class SmallEncoder(nn.Module):
    """That of a small model, which stands for a task of which there is little data: four
    convolutions, the last one's output the bottleneck (paper section 5.2)."""

    def __init__(self, spec: SmallSpec | None = None):
        super().__init__()
        self.spec = spec = spec or SmallSpec()
        width = spec.width
        channels = (spec.input_channels, width, 2 * width, 4 * width, spec.bottleneck_channels)
        self.convolutions = nn.ModuleList(
            convolution(*both, stride=stride)
            for both, stride in zip(pairwise(channels), spec.strides, strict=True)
        )

    def features(self, images: Tensor) -> dict[str, Tensor]:
        return {"compressed": self(images)}

    def forward(self, images: Tensor) -> Tensor:
        for convolve in self.convolutions:
            images = convolve(images)
        return images
