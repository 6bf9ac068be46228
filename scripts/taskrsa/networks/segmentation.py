"""Networks for semantic segmentation: an encoder of the bank, or a small one, with an ASPP head.

The head is that of DeepLab v3 (Chen et al. 2017): parallel atrous convolutions see the same
features at several scales (paper section 5.3). The whole network is trained, encoder included.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from taskrsa.errors import ConfigError, DataError
from taskrsa.networks.encoder import EXPANSION
from taskrsa.networks.spec import EncoderSpec, Spec, encoder_spec
from taskrsa.networks.weights import encoder_header, random_encoder

TAPS = ("block4", "compressed")


@dataclass(frozen=True)
class HeadSpec:
    """The size of an ASPP head, and at what scale the network sees images.

    width: channels of every branch and of the projection; rates: of the atrous 3 x 3
    convolutions, in positions of the features; image_pooling: a branch that sees the mean over
    the whole image (off where crops are of a few positions); dropout: share of the projection's
    outputs set to 0 while training; input_scale: images are shrunk to this share of their sides
    before the encoder and scores enlarged again, for a bank that knows scenes in few pixels.
    """

    width: int = 256
    rates: tuple[int, ...] = (6, 12, 18)
    image_pooling: bool = True
    dropout: float = 0.0
    input_scale: float = 1.0

    def __post_init__(self):
        if self.width < 1 or any(rate < 1 for rate in self.rates):
            raise ConfigError("head: width and rates must be positive")
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"head: dropout is {self.dropout}; it must be at least 0 and below 1")

        if not 0 < self.input_scale <= 1:
            raise ConfigError(
                f"head: input_scale is {self.input_scale}; it must be above 0 and at most 1"
            )

    @classmethod
    def from_config(cls, values: dict) -> HeadSpec:
        """Build a spec from a configuration section."""
        unknown = values.keys() - {field.name for field in fields(cls)}
        if unknown:
            raise ConfigError(f"head: there is no setting {', '.join(sorted(unknown))}")
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})


def tap_channels(spec: Spec, tap: str) -> int:
    """Return the channels of an encoder's tap.

    Raises
    ------
    ConfigError
        If encoders of that family have no such tap.
    """
    if tap == "compressed":
        return spec.code_channels
    if tap == "block4" and isinstance(spec, EncoderSpec):
        return spec.width * 8 * EXPANSION
    raise ConfigError(
        f"tap: the {spec.family} encoder has no tap {tap}; there are "
        f"{', '.join(TAPS) if isinstance(spec, EncoderSpec) else 'compressed'}"
    )


def _branch(inputs: int, outputs: int, rate: int = 0) -> nn.Sequential:
    """Build a 1 x 1 convolution, or a 3 x 3 one with the given rate, with batch norm and ReLU."""
    kernel, rate = (3, rate) if rate else (1, 1)
    padding = rate * (kernel // 2)
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=padding, dilation=rate, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


class ASPP(nn.Module):
    """Atrous spatial pyramid pooling and the classifier on top of it."""

    def __init__(self, inputs: int, classes: int, spec: HeadSpec):
        super().__init__()
        width = spec.width
        self.branches = nn.ModuleList(_branch(inputs, width, rate) for rate in (0, *spec.rates))
        self.pooled = _branch(inputs, width) if spec.image_pooling else None
        joined = width * (len(self.branches) + spec.image_pooling)
        self.projection = _branch(joined, width)
        self.dropout = nn.Dropout(spec.dropout)
        self.classifier = nn.Conv2d(width, classes, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Map features (N, inputs, h, w) to scores (N, classes, h, w)."""
        parts = [branch(features) for branch in self.branches]
        if self.pooled is not None:
            pooled = self.pooled(features.mean((2, 3), keepdim=True))
            parts.append(pooled.expand(-1, -1, *features.shape[2:]))
        return self.classifier(self.dropout(self.projection(torch.cat(parts, 1))))


class SegmentationNetwork(nn.Module):
    """An encoder up to one of its taps, an ASPP head, and scores at the image's own size."""

    def __init__(self, encoder: nn.Module, tap: str, classes: tuple[str, ...], head: HeadSpec):
        """The encoder becomes part of the network: training changes it."""
        super().__init__()
        channels = tap_channels(encoder.spec, tap)
        if len(classes) < 2:
            raise ConfigError(f"classes: {len(classes)} given; segmentation needs at least two")
        self.tap, self.classes, self.head_spec = tap, tuple(classes), head
        self.encoder = encoder.requires_grad_(True)
        if tap != "compressed":
            self._leave_compression_out()
        self.head = ASPP(channels, len(classes), head)
        self.frozen_statistics = False

    def _leave_compression_out(self) -> None:
        # What is above the tap would be computed, saved and given to the optimiser for nothing.
        for name in ("compress1", "compress_bn", "groupnorm"):
            setattr(self.encoder, name, nn.Identity())

    @property
    def input_channels(self) -> int:
        return self.encoder.spec.input_channels

    def forward(self, images: Tensor, shrunk: bool = False) -> Tensor:
        """Return the scores of every pixel.

        Parameters
        ----------
        images : (N, input_channels, H, W) in [-1, 1], of any size
        shrunk : the images are at `input_scale` already

        Returns
        -------
        (N, classes, H, W)
        """
        size = images.shape[2:]
        if self.head_spec.input_scale < 1 and not shrunk:
            smaller = [max(1, round(side * self.head_spec.input_scale)) for side in size]
            images = F.interpolate(images, size=smaller, mode="bilinear", antialias=True)
        height, width = images.shape[2:]
        reduction = self.encoder.spec.reduction
        # Mid-grey, 0, to the right and below: the encoder drops what is no multiple of its strides.
        images = F.pad(images, (0, -width % reduction, 0, -height % reduction))
        scores = self.head(self.encoder.features(images)[self.tap])
        scores = F.interpolate(scores, size=images.shape[2:], mode="bilinear", align_corners=False)
        scores = scores[:, :, :height, :width]
        if scores.shape[2:] != size:
            scores = F.interpolate(scores, size=size, mode="bilinear", align_corners=False)
        return scores

    def freeze_statistics(self, on: bool) -> None:
        """Normalise the encoder's features by the statistics it came with, or by each batch's.

        Scales and offsets are trained in both cases, and the head's statistics are its own.
        """
        self.frozen_statistics = on
        self.train(self.training)

    def train(self, mode: bool = True) -> SegmentationNetwork:
        super().train(mode)
        if self.frozen_statistics:
            for module in self.encoder.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
        return self


def segmentation_network(
    encoder: nn.Module, tap: str, classes: tuple[str, ...], head: HeadSpec, seed: int
) -> SegmentationNetwork:
    """Put a head whose weights depend on `seed` alone on an encoder."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return SegmentationNetwork(encoder, tap, classes, head)


def segmentation_bytes(network: SegmentationNetwork, about: dict | None = None) -> bytes:
    """Return a safetensors file with the weights and, in its header, all that rebuilds the network.

    `about` is kept in the header as well. Equal networks give equal bytes.
    """
    header = {
        "encoder": encoder_header(network.encoder),
        "tap": network.tap,
        "classes": network.classes,
        "head": asdict(network.head_spec),
        "about": about or {},
    }
    # One entry only: the order of several in a safetensors header is not fixed.
    return _safetensors(network, {"segmentation": json.dumps(header)})


def encoder_bytes(network: SegmentationNetwork) -> bytes:
    """Return the encoder alone as a file that `load_encoder` reads, for extraction.

    Raises
    ------
    ConfigError
        If the network was trained without the encoder's compression.
    """
    if network.tap != "compressed":
        raise ConfigError(
            f"tap: a network trained at {network.tap} has no compressed output to extract; "
            "use tap compressed"
        )
    encoder = network.encoder
    return _safetensors(encoder, {"encoder": json.dumps(encoder_header(encoder))})


def _safetensors(module: nn.Module, metadata: dict[str, str]) -> bytes:
    from safetensors.torch import save

    state = {key: value.detach().cpu().contiguous() for key, value in module.state_dict().items()}
    return save(state, metadata=metadata)


def segmentation_header(path: str | Path) -> dict:
    """Return the header that `segmentation_bytes` wrote.

    Raises
    ------
    DataError
        If the file is missing, damaged, or not of a segmentation network.
    """
    from safetensors import SafetensorError, safe_open

    if not Path(path).is_file():
        raise DataError(f"{path}: no such weights file; train the network first")
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get("segmentation")
    except SafetensorError as error:
        raise DataError(f"{path}: not a whole safetensors file ({error})") from None
    if text is None:
        raise DataError(f"{path}: holds no segmentation network; give one that finetune.py wrote")
    return json.loads(text)


def load_segmentation(path: str | Path) -> SegmentationNetwork:
    """Load a whole network in evaluation mode; errors as of `segmentation_header`."""
    from safetensors.torch import load_file

    header = segmentation_header(path)
    values = dict(header["encoder"])
    input_channels = values.pop("input_channels")
    encoder = random_encoder(encoder_spec(values, input_channels), seed=0)
    head = HeadSpec.from_config(header["head"])
    network = segmentation_network(encoder, header["tap"], tuple(header["classes"]), head, seed=0)
    try:
        network.load_state_dict(load_file(path))
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path}: does not fit its own header ({reason})") from None
    return network.eval()
