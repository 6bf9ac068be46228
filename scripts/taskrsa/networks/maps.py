"""Features as maps of positions, and which layer of a network a target's head is attached to."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from taskrsa.errors import ConfigError, RepresentationError
from taskrsa.networks.layers import AUTO_NAMES, Layer, choose, one_matching
from taskrsa.networks.network import Network
from taskrsa.networks.reading import guessed
from taskrsa.targets.config import KINDS

SHALLOW = 0.25  # of the operations before the head: too few to stand for the network


def as_map(values: Tensor, layer: Layer | None = None, aspect: float = 1.0) -> Tensor:
    """Return features as (N, C, h, w): tokens as the grid that they make, without those
    that are not positions, or else their mean; vectors (N, C) at one position.

    Parameters
    ----------
    values : (N, ...) of a layer that can be read
    layer : where they are from; without it, their shape has to tell (`guessed`)
    aspect : height of the images over their width

    Raises
    ------
    RepresentationError
        If they cannot be read, or tokens make no grid for images of that shape.
    """
    shape = tuple(values.shape)
    reading = guessed(shape).of_one_image(shape, 0) if layer is None else layer.reading
    if reading.channels_at is None:
        where = "features" if layer is None else layer.name
        raise RepresentationError(
            f"{where}: {shape} can be read neither as maps nor as vectors; name another layer"
        )
    values = values.movedim(1 + reading.channels_at, 1)
    if values.ndim == 4:
        return values
    if values.ndim == 2:
        return values[:, :, None, None]
    if reading.grid is None:
        return values.mean(2)[:, :, None, None]
    height, width = reading.grid
    tokens = values.shape[2]
    if layer is not None:  # images of another size have more or fewer
        other = math.prod(layer.shape) // layer.shape[reading.channels_at] - height * width
        tokens -= other
        height = max(1, round(math.sqrt(tokens * aspect * height / width)))
        width = tokens // height
        if height * width != tokens:
            raise RepresentationError(
                f"{layer.name}: {tokens} positions do not form a grid for images of this shape; "
                "give the network a size"
            )
    else:
        tokens = height * width
    positions = values[:, :, reading.skipped : reading.skipped + tokens]
    return positions.unflatten(2, (height, width))


def map_shape(layer: Layer) -> torch.Size:
    """Return channels, height and width of one image's features once they are a map."""
    return as_map(torch.empty(1, *layer.shape, device="meta"), layer).shape[1:]


def head_layer(layers: Sequence[Layer], kind: str, row: Network) -> Layer:
    """Return the layer that a target's head is attached to: that of the row's cell `head`, a name
    of its layers or of a module, or else the last before the network's own head, for maps the last
    that has positions.

    Raises
    ------
    ConfigError
        If nothing has that name, or no layer can be read as what the kind of target needs.
    """
    if row.head:
        return _named_layer(layers, kind, row)
    usable = [layer for layer in layers if layer.trunk and layer.reading.channels_at is not None]
    if KINDS[kind].is_dense:
        usable = [layer for layer in usable if _has_positions(layer)]
        # A map from the first few operations only says little of the network.
        if usable and usable[-1].depth < SHALLOW:
            usable = []
    if not usable:
        lacks = "with positions " if KINDS[kind].is_dense else ""
        raise ConfigError(
            f"{row.where('head')}: {row.name} has no layer {lacks}before its head, which a {kind} "
            "needs; name a module in the column head, set finetune of the target to none or leave "
            "the network out"
        )
    return usable[-1]


def _named_layer(layers: Sequence[Layer], kind: str, row: Network) -> Layer:
    named = {name or pattern for name, pattern in row.layers}
    if row.has_auto_layers:
        named = AUTO_NAMES
    chosen = choose(layers, row) if row.head in named else {}
    layer = chosen.get(row.head) or one_matching(layers, row.head, row.where("head"))
    shape = " x ".join(map(str, layer.shape))
    if layer.reading.channels_at is None:
        raise ConfigError(
            f"{row.where('head')}: {layer.name} is {shape} for one image, which can be read neither"
            " as a map of positions nor as a vector; name another module"
        )
    if KINDS[kind].is_dense and not _has_positions(layer):
        raise ConfigError(
            f"{row.where('head')}: {layer.name} is {shape} for one image, without the positions "
            f"that a {kind} needs; name another module"
        )
    return layer


def _has_positions(layer: Layer) -> bool:
    return layer.reading.grid is not None and math.prod(layer.reading.grid) > 1
