"""Networks for a target of the user's own: any encoder, and a head for classes, maps or masks.

The target may be a segmentation, a classification or a dense regression. Encoders are the small
one (paper section 5.2), or rows of a bank: those of PyTorch are trained as a whole, those that
only run (ONNX) get a trained head.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from taskrsa.errors import ConfigError, DataError
from taskrsa.networks.layers import Layer
from taskrsa.networks.loading import layers_of, load_network
from taskrsa.networks.network import Network
from taskrsa.networks.preprocessing import normalisation_of
from taskrsa.networks.segmentation import ASPP, HeadSpec
from taskrsa.networks.spec import encoder_spec
from taskrsa.networks.weights import random_encoder

WHOLE, HEAD_ONLY = "whole network", "head only"
_TAP = "compressed"


class TargetNetwork(nn.Module):
    """An encoder, its features at one layer, and a head.

    Parameters
    ----------
    encoder : a module with `features`, or one whose forward pass returns a dictionary of layers
    layer : the layer that the head sees
    to_input : turns photographs on [0, 1], (N, 3, H, W), into the encoder's input
    kind : "segmentation", "classification" or "regression"
    classes : names of the classes; of a regression one
    side : of the training images, pixels
    trains_encoder : False for an encoder without gradients
    keeps_layout : of weights in memory, for foreign code that relies on it

    Raises
    ------
    ConfigError
        If a map is to be predicted and the layer has no positions.
    """

    def __init__(
        self,
        encoder: nn.Module,
        layer: str,
        to_input: Callable[[Tensor], Tensor],
        kind: str,
        classes: Sequence[str],
        head: HeadSpec,
        side: int,
        trains_encoder: bool = True,
        keeps_layout: bool = False,
    ) -> None:
        super().__init__()
        self.encoder = encoder.requires_grad_(trains_encoder)
        self.to_input, self.kind, self.classes = to_input, kind, tuple(classes)
        self.tap, self.layer, self.head_spec = _TAP, layer, head
        self.trains_encoder, self.keeps_layout = trains_encoder, keeps_layout
        self.frozen_statistics = False
        self.input_channels = 3
        self.eval()
        with torch.no_grad():
            found = self.features(torch.zeros(2, 3, side, side))
        if kind != "classification" and found.shape[2] * found.shape[3] < 2:
            raise ConfigError(
                f"target: layer {layer} has one value an image, and {kind} needs a map; name "
                "another layer"
            )
        outputs = 1 if kind == "regression" else len(self.classes)
        if kind == "classification":
            self.head = nn.Sequential(nn.Dropout(head.dropout), nn.Linear(found.shape[1], outputs))
        else:
            self.head = ASPP(found.shape[1], outputs, head)

    def features(self, images: Tensor) -> Tensor:
        """Return the layer of images (N, 3, H, W) in [-1, 1], as a map (N, C, h, w)."""
        shown = self.to_input((images + 1) / 2)
        taps = self.encoder.features if hasattr(self.encoder, "features") else self.encoder
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.trains_encoder):
            return as_map(taps(shown)[self.layer].float())

    def forward(self, images: Tensor, shrunk: bool = False) -> Tensor:
        """Return scores (N, K) of classes, (N, K, H, W) of pixels, or values (N, 1, H, W).

        Parameters
        ----------
        images : (N, 3, H, W) in [-1, 1]
        shrunk : the images are at `input_scale` already
        """
        size = images.shape[2:]
        if self.head_spec.input_scale < 1 and not shrunk:
            smaller = [max(1, round(side * self.head_spec.input_scale)) for side in size]
            images = F.interpolate(images, size=smaller, mode="bilinear", antialias=True)
        found = self.features(images)
        if self.kind == "classification":
            return self.head(found.mean((2, 3)))
        return F.interpolate(self.head(found), size=size, mode="bilinear", align_corners=False)

    def to(self, *words: object, memory_format: object = None, **names: object) -> TargetNetwork:
        if memory_format is not None and not self.keeps_layout:
            names["memory_format"] = memory_format
        return super().to(*words, **names)

    def freeze_statistics(self, on: bool) -> None:
        """Normalise the encoder's features by the statistics it came with, or by each batch's."""
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


def as_map(values: Tensor) -> Tensor:
    """Return features as (N, C, h, w): tokens (N, T, C) as the square that they make, a class
    token in front left out, or else their mean; vectors (N, C) at one position."""
    if values.ndim == 4:
        return values
    if values.ndim == 3:
        for extra in (0, 1):
            side = math.isqrt(values.shape[1] - extra)
            if side > 1 and side**2 == values.shape[1] - extra:
                return values[:, extra:].transpose(1, 2).unflatten(2, (side, side))
        values = values.mean(1)
    return values.flatten(1)[:, :, None, None]


def small_network(
    encoder: dict, kind: str, classes: Sequence[str], head: HeadSpec, side: int, seed: int
) -> TargetNetwork:
    """Return the untrained small model of a target, a function of the seed.

    Parameters
    ----------
    encoder : spec of a small encoder
    """
    network = random_encoder(encoder_spec(encoder), seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return TargetNetwork(network, _TAP, _centred, kind, classes, head, side)


def row_network(
    row: Network,
    weights: str | Path | None,
    kind: str,
    classes: Sequence[str],
    head: HeadSpec,
    side: int,
    seed: int,
) -> TargetNetwork:
    """Return a network of a bank with a new head, whose weights are a function of the seed.

    The head takes the place of the network's own: it is put on the last layer before that which
    everything passes through, of maps and masks on the last that has positions.

    Raises
    ------
    ConfigError, DataError
        As `taskrsa.networks.loading.load_network`, and if a map is to be predicted and no layer
        has positions.
    """
    network = load_network(row, weights)
    network.tap({_TAP: _last_layer(layers_of(network, side), kind, row)})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return TargetNetwork(
            network,
            _TAP,
            normalisation_of(network.row),
            kind,
            classes,
            head,
            side,
            trains_encoder=network.trainable,
            keeps_layout=network.keeps_layout,
        )


def _last_layer(layers: Sequence[Layer], kind: str, row: Network) -> Layer:
    usable = [layer for layer in layers if layer.trunk and not layer.fault]
    if kind != "classification":
        usable = [layer for layer in usable if _has_positions(layer.shape)]
    if not usable:
        raise ConfigError(
            f"{row.where('loader')}: {row.name} has no layer with positions before its head; "
            f"leave it out of a {kind} (target.finetune)"
        )
    return usable[-1]


def _has_positions(shape: tuple[int, ...]) -> bool:
    if len(shape) == 2:
        return any(math.isqrt(n) ** 2 == n and n > 3 for n in (shape[0], shape[0] - 1))
    return len(shape) == 3 and shape[1] * shape[2] > 1


def _centred(images: Tensor) -> Tensor:
    return images * 2 - 1


def target_bytes(network: TargetNetwork, about: dict) -> bytes:
    """Return a safetensors file with all weights of a network and a header on what it predicts."""
    from safetensors.torch import save

    header = {
        "kind": network.kind,
        "classes": network.classes,
        "head": asdict(network.head_spec),
        "about": about,
    }
    state = {key: value.detach().cpu().contiguous() for key, value in network.state_dict().items()}
    # Weights that a network uses at two places are stored twice: the file is read without its code.
    state = {key: value.clone() for key, value in state.items()}
    return save(state, metadata={"target": json.dumps(header)})


def target_header(path: str | Path) -> dict:
    """Return the header that `target_bytes` wrote; DataError if there is none."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            return json.loads((file.metadata() or {})["target"])
    except (OSError, SafetensorError, KeyError) as error:
        raise DataError(f"{path}: holds no network of a target ({error}); train it") from None
