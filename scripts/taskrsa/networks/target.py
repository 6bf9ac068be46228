"""Networks for a target: any encoder that can be tapped, and a new head.

Encoders of this project, small ones among them (paper section 5.2), are tapped at a layer of
choice and take images of any size. Other networks are tapped where their row says, or at the last
layer before their own head (`taskrsa.networks.flow`), for maps and masks at the last that has
positions. They are trained as far as gradients reach: not at all where they only run (ONNX).
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from taskrsa.errors import ConfigError, DataError
from taskrsa.networks.encoder import EXPANSION
from taskrsa.networks.heads import ASPP, ImageHead
from taskrsa.networks.layers import NEVER_REACHED, Layer
from taskrsa.networks.loading import PROBED, layers_of, load_network
from taskrsa.networks.maps import as_map, head_layer, map_shape
from taskrsa.networks.network import Network
from taskrsa.networks.optional import blamed
from taskrsa.networks.preprocessing import normalisation_of
from taskrsa.networks.reading import Reading
from taskrsa.networks.spec import EncoderSpec, Spec, encoder_spec
from taskrsa.networks.taps import NativeNetwork, TapNetwork
from taskrsa.networks.weights import (
    encoder_header,
    opened_safetensors,
    random_encoder,
    safetensors_of,
)
from taskrsa.recipes import HeadConfig
from taskrsa.targets.config import KINDS

WHOLE, PARTLY, HEAD_ONLY = "whole network", "part of network", "head only"
NEARLY_ALL = 0.9  # of the tensors: then the network is trained as a whole
COMPRESSED = "compressed"
_TAP = "tap"  # under which an encoder returns the features
_COMPRESSION = ("compress1", "compress_bn")
_HEADER = "target"  # the entry of a weights file


@dataclass(frozen=True)
class Trained:
    """How much of an encoder gets gradients from its new head.

    Attributes
    ----------
    tensors, of : those that do, of all but those of the head that is replaced
    share : of the weights in them
    """

    tensors: int
    of: int
    share: float


class TargetNetwork(nn.Module):
    """An encoder, its features at one layer, and a head.

    Parameters
    ----------
    encoder : becomes part of the network: training changes it, if it is trainable
    layer : of `find_layers`, that which the head sees
    kind : of the target, a key of `taskrsa.targets.config.KINDS`
    classes : K names of the outputs
    head : its size, and at what scale the encoder sees images
    side : of the training images, pixels; networks of a fixed size see windows of that side
    replaced : modules of a network that its own head consists of, or that nothing reaches
    """

    def __init__(
        self,
        encoder: TapNetwork,
        layer: Layer,
        kind: str,
        classes: Sequence[str],
        head: HeadConfig,
        side: int,
        replaced: Collection[str] = (),
    ) -> None:
        super().__init__()
        self.kind, self.classes, self.head_config, self.side = kind, tuple(classes), head, side
        self.tap, self.layer, self.replaced = layer.name, layer, frozenset(replaced)
        self._trained: Trained | None = None
        self.trains_encoder = encoder.trainable
        self.encoder = encoder.requires_grad_(encoder.trainable)
        self.encoder.tap({_TAP: layer})
        self.input_channels, self.multiple, self._normalise = 3, 1, None
        if isinstance(encoder, NativeNetwork):
            spec = encoder.encoder.spec
            self.input_channels, self.multiple = spec.input_channels, spec.reduction
            if layer.name != COMPRESSED:
                self._leave_compression_out()
        else:
            self._normalise = normalisation_of(encoder.row)
        make = ASPP if self.is_dense else ImageHead
        self.head = make(map_shape(layer)[0], len(self.classes), head)
        self.frozen_statistics = False

    @property
    def is_dense(self) -> bool:
        return KINDS[self.kind].is_dense

    @property
    def window(self) -> int | None:
        """Side of what the network sees at a time, pixels; None for images of any size."""
        return self.side if self._normalise is not None and self.encoder.row.size else None

    @property
    def seen_at(self) -> int:
        """Side of the training images as the network sees them, pixels."""
        return _seen_at(self.encoder.row, self.side, self.head_config)

    @property
    def trained(self) -> str:
        """What gradients reach: `WHOLE`, as good as all of the network, `PARTLY` or `HEAD_ONLY`."""
        if not self.trains_encoder:
            return HEAD_ONLY
        found = self.trained_share()
        if not found.tensors:
            return HEAD_ONLY
        return WHOLE if found.tensors >= NEARLY_ALL * found.of else PARTLY

    def trained_share(self) -> Trained:
        """Return how much of the encoder gets gradients from the head, which one pass shows.

        ConfigError if gradients cannot be computed.
        """
        if self._trained is None:
            with blamed(self.encoder.row, "head", "its gradients cannot be computed"):
                self._trained = self._count()
        return self._trained

    def _count(self) -> Trained:
        weights = dict(self.encoder.named_parameters())
        before = {name: weight.grad for name, weight in weights.items()}
        training, side = self.training, -(-self.seen_at // self.multiple) * self.multiple
        noise = torch.rand(
            (PROBED, self.input_channels, side, side), generator=torch.Generator().manual_seed(0)
        )
        self.eval()
        for weight in weights.values():
            weight.grad = None
        try:
            with torch.random.fork_rng(devices=[]), torch.enable_grad():
                features = self.features(noise.to(next(self.head.parameters()).device) * 2 - 1)
                if features.requires_grad:
                    features.sum().backward()
            reached = {name for name, weight in weights.items() if weight.grad is not None}
        finally:
            for name, weight in weights.items():
                weight.grad = before[name]
            self.train(training)
        inside = {f"network.{name}" for name in self.replaced}
        counted = {n for n in weights if n in reached or n.rpartition(".")[0] not in inside}
        numbers = sum(weights[name].numel() for name in counted)
        share = sum(weights[name].numel() for name in reached) / max(1, numbers)
        return Trained(len(reached), len(counted), share)

    def described(self) -> str:
        """Return one line: where the head is, what the network sees and what is trained."""
        shape = " x ".join(map(str, map_shape(self.layer)))
        found = self.trained_share()
        told = f"{found.tensors} of {found.of} tensors trained, {found.share:.0%} of the weights"
        return (
            f"{self.encoder.row.name}: head at {self.tap}, {shape}; images at {self.seen_at} "
            f"pixels; {told if found.tensors else 'only the head is trained'}"
        )

    def _leave_compression_out(self) -> None:
        # What is above the tap would be computed, saved and given to the optimiser for nothing.
        for name in _COMPRESSION:
            setattr(self.encoder.encoder, name, nn.Identity())

    def features(self, images: Tensor) -> Tensor:
        """Return the layer of images (N, input_channels, H, W) in [-1, 1], as a map (N, C, h, w).

        H and W are multiples of `multiple`.
        """
        if self._normalise is None:
            return self.encoder(images)[_TAP]
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.trains_encoder):
            shown = self._normalise((images + 1) / 2).to(self.encoder.device)
            values = self.encoder(shown)[_TAP].float()
            return as_map(values, self.layer, shown.shape[2] / shown.shape[3]).to(images.device)

    def forward(self, images: Tensor, shrunk: bool = False) -> Tensor:
        """Return scores of classes, or values.

        Parameters
        ----------
        images : (N, input_channels, H, W) in [-1, 1], of any size
        shrunk : the images are at `input_scale` already

        Returns
        -------
        (N, K, H, W) of pixels, or (N, K) of images
        """
        size = images.shape[2:]
        if self.head_config.input_scale < 1 and not shrunk:
            smaller = [max(1, round(side * self.head_config.input_scale)) for side in size]
            images = F.interpolate(images, size=smaller, mode="bilinear", antialias=True)
        height, width = images.shape[2:]
        # Mid-grey, 0, to the right and below: the encoder drops what its strides do not fill.
        images = F.pad(images, (0, -width % self.multiple, 0, -height % self.multiple))
        outputs = self.head(self.features(images))
        if not self.is_dense:
            return outputs
        outputs = F.interpolate(
            outputs, size=images.shape[2:], mode="bilinear", align_corners=False
        )
        outputs = outputs[:, :, :height, :width]
        if outputs.shape[2:] != size:
            outputs = F.interpolate(outputs, size=size, mode="bilinear", align_corners=False)
        return outputs

    def to(self, *words: object, memory_format: object = None, **names: object) -> TargetNetwork:
        """As of any module, but a network whose code relies on its layout in memory keeps it."""
        if memory_format is not None and not self.encoder.keeps_layout:
            names["memory_format"] = memory_format
        return super().to(*words, **names)

    def leave_encoder(self) -> None:
        """Train the head alone from now on."""
        self.trains_encoder = False
        self.encoder.requires_grad_(False)
        self.train(self.training)

    def freeze_statistics(self, on: bool) -> None:
        """Normalise the encoder's features by the statistics it came with, or by each batch's.

        Scales and offsets are trained in both cases, and the head's statistics are its own.
        """
        self.frozen_statistics = on
        self.train(self.training)

    def train(self, mode: bool = True) -> TargetNetwork:
        super().train(mode)
        if not self.trains_encoder:
            self.encoder.eval()
        elif self.frozen_statistics:
            for module in self.encoder.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()
        return self


def _seen_at(row: Network, side: int, head: HeadConfig) -> int:
    return row.size or max(1, round(side * head.input_scale))


# --- making them ---


def untrained(spec: Spec, seed: int) -> NativeNetwork:
    """Return an untrained encoder whose weights are a function of the seed."""
    name = f"{spec.family}, untrained"
    row = Network(
        name, name, "", "random", channels="rgb" if spec.input_channels == 3 else "lightness"
    )
    return NativeNetwork(random_encoder(spec, seed), row)


def target_network(
    encoder: TapNetwork,
    tap: str,
    kind: str,
    classes: Sequence[str],
    head: HeadConfig,
    side: int,
    seed: int,
) -> TargetNetwork:
    """Put a head whose weights are a function of `seed` alone on an encoder. For networks of others
    one line tells where it is and what is trained.

    Parameters
    ----------
    encoder : `untrained`, or of `taskrsa.networks.loading.load_network`
    tap : the layer of an encoder of this project, such as "compressed"
    kind, classes, head, side : as of `TargetNetwork`

    Raises
    ------
    ConfigError
        If there is no such tap, a map is to be predicted and no layer has positions, or the network
        refuses its input.
    """
    replaced: list[str] = []
    if isinstance(encoder, NativeNetwork):
        layer = native_layer(encoder.encoder.spec, tap)
    else:
        layers = layers_of(encoder, _seen_at(encoder.row, side, head))
        layer = head_layer(layers, kind, encoder.row)
        replaced = [layer.name for layer in layers if layer.head or layer.fault == NEVER_REACHED]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = TargetNetwork(encoder, layer, kind, classes, head, side, replaced)
    if not isinstance(encoder, NativeNetwork):
        if network.trains_encoder and not network.trained_share().tensors:
            network.leave_encoder()
        print(network.described(), flush=True)
    return network


def native_layer(spec: Spec, tap: str) -> Layer:
    """Return a layer of an encoder of this project that a head can be attached to; ConfigError if
    it has none of that name."""
    channels = {COMPRESSED: spec.bottleneck_channels}
    if isinstance(spec, EncoderSpec):
        channels["block4"] = spec.width * 8 * EXPANSION
    if tap not in channels:
        raise ConfigError(
            f"tap: the {spec.family} encoder has no tap {tap}; there are {', '.join(channels)}"
        )
    return Layer(tap, "layer", (channels[tap], 1, 1), reading=Reading(0, (1, 1)))


# --- files ---


def target_bytes(network: TargetNetwork, about: dict | None = None) -> bytes:
    """Return a safetensors file with all weights and, in its header, `about` and what rebuilds the
    network. Equal networks give equal bytes."""
    native = isinstance(network.encoder, NativeNetwork)
    header = {
        "encoder": encoder_header(network.encoder.encoder) if native else None,
        "tap": network.tap,
        "kind": network.kind,
        "classes": network.classes,
        "head": network.head_config.model_dump(mode="json"),
        "side": network.side,
        "about": about or {},
    }
    # One entry only: the order of several in a safetensors header is not fixed.
    return safetensors_of(network, {_HEADER: header})


def encoder_bytes(network: TargetNetwork) -> bytes:
    """Return the encoder alone as a file that `load_encoder` reads, for extraction; ConfigError if
    it was trained without its compression, or is not of this project."""
    if not isinstance(network.encoder, NativeNetwork) or network.tap != COMPRESSED:
        raise ConfigError(
            f"tap: a network trained at {network.tap} has no compressed output to extract; "
            "use an encoder of this project with tap compressed"
        )
    encoder = network.encoder.encoder
    return safetensors_of(encoder, {"encoder": encoder_header(encoder)})


def target_header(path: str | Path) -> dict:
    """Return the header that `target_bytes` wrote; DataError if there is none."""
    if not Path(path).is_file():
        raise DataError(f"{path}: no such weights file; train the network first")
    with opened_safetensors(path) as file:
        text = (file.metadata() or {}).get(_HEADER)
    if text is None:
        raise DataError(f"{path}: holds no network of a target; give one that finetune.py wrote")
    return json.loads(text)


def load_target(
    path: str | Path, row: Network | None = None, weights: str | os.PathLike | None = None
) -> TargetNetwork:
    """Load a fine-tuned network in evaluation mode.

    Parameters
    ----------
    row, weights : what it was fine-tuned from; needed for networks that are not of this project

    Raises
    ------
    DataError
        As `target_header`, or if row or weights are those of another network.
    """
    header = target_header(path)
    if header["encoder"] is not None:
        encoder = untrained(encoder_spec(header["encoder"]), seed=0)
    elif row is None:
        raise DataError(f"{path}: is not an encoder of this project; give its row of the table")
    else:
        encoder = load_network(row, weights)
    head = HeadConfig(**header["head"])
    what = (header[key] for key in ("tap", "kind", "classes"))
    network = target_network(encoder, *what, head, header["side"], seed=0)
    try:
        network.load_state_dict(load_file(path))
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path}: does not fit its own header ({reason})") from None
    return network.eval()
