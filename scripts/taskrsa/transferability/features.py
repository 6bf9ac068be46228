"""One forward pass of a network over the labelled images of a target; its layers, by places.

Images are shown as fine-tuning shows them, whole: resized to the square of its crops, normalised
as the network wants. Where places are cells, a map that is finer is averaged over each cell and one
that is coarser is interpolated bilinearly, as the head's own output is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from taskrsa.networks.layers import choose
from taskrsa.networks.loading import where_it_runs
from taskrsa.networks.maps import as_map, head_layer
from taskrsa.networks.preprocessing import normalisation_of, transfer_input
from taskrsa.networks.taps import NativeNetwork, TapNetwork
from taskrsa.networks.target import native_layer
from taskrsa.targets.sets import LabelledSet
from taskrsa.transferability import TAP
from taskrsa.transferability.cells import Cells

BATCH = 8  # images in a forward pass: small ones are fastest on a processor


@dataclass(frozen=True)
class Extracted:
    """Features (n, C) float32 by layer; `same` maps further names to those of layers."""

    layers: dict[str, np.ndarray]
    same: dict[str, str]


def extract_places(
    encoder: TapNetwork, images: LabelledSet, cells: Cells, tap: str, side: int
) -> Extracted:
    """Return the features of a network at the places of a target.

    Parameters
    ----------
    encoder : of `taskrsa.networks.loading.load_network`, not used otherwise afterwards
    images : the training images that `cells` were chosen from
    tap : the layer of encoders of this project that the head sees
    side : of what the encoder sees, pixels; rounded up to a multiple of its strides

    Raises
    ------
    ConfigError
        As of `taskrsa.networks.target.target_network`.
    """
    native = isinstance(encoder, NativeNetwork)
    if native:
        multiple = encoder.encoder.spec.reduction
        side = -(-side // multiple) * multiple
    encoder, found = where_it_runs(encoder.eval(), side)
    layers = choose(found, encoder.row)
    if native:
        of_head = native_layer(encoder.encoder.spec, tap)
    else:
        of_head = head_layer(found, images.kind, encoder.row)
        # Layers whose dimensions cannot be told have no places; RDMs take them as they are.
        known = {name for name, layer in layers.items() if layer.reading.channels_at is not None}
        layers = {name: layers[name] for name in layers if name in known}
    twins = [name for name, layer in layers.items() if layer.name == of_head.name]
    tapped = layers if twins else {**layers, TAP: of_head}
    encoder.tap(tapped)
    row, run = encoder.row, encoder.extractor()
    normalise = None if native else normalisation_of(row)

    def show(rgb: np.ndarray) -> dict[str, Tensor]:
        images = transfer_input(rgb, row.n_channels if native else 3, "rgb")
        taps = run(images if native else normalise((images + 1) / 2))
        return {name: as_map(values.float(), tapped[name]) for name, values in taps.items()}

    found = _forward(show, images, cells, side, row.name)
    return Extracted(found, {TAP: twins[0]} if twins else {})


# Not around the choice of layers, which follows gradients.
@torch.inference_mode()
def _forward(
    show: Callable[[np.ndarray], dict[str, Tensor]],
    images: LabelledSet,
    cells: Cells,
    side: int,
    name: str,
) -> dict[str, np.ndarray]:
    """Return the layers, maps that `show` makes of photographs (N, side, side, 3), by places."""
    parts: dict[str, list[np.ndarray]] = {}
    starts = np.searchsorted(cells.labels.groups, np.arange(len(cells.images) + 1))
    for start in tqdm(range(0, len(cells.images), BATCH), desc=name, mininterval=5):
        batch = cells.images[start : start + BATCH]
        taps = show(np.stack([_resized(images.image(i), side) for i in batch.tolist()]))
        ends = starts[start : start + len(batch) + 1]
        which = np.repeat(np.arange(len(batch)), np.diff(ends))
        places = cells.places[ends[0] : ends[-1]]
        for layer, values in taps.items():
            pooled = pool(values, cells.grid).cpu().numpy()
            parts.setdefault(layer, []).append(pooled[which, places])
    return {layer: np.concatenate(some) for layer, some in parts.items()}


def _resized(rgb: np.ndarray, side: int) -> np.ndarray:
    """Return an image (H, W, 3) as a square; it is seen whole, as its cells are."""
    if rgb.shape[:2] == (side, side):
        return rgb
    return np.asarray(Image.fromarray(rgb).resize((side, side), Image.Resampling.BILINEAR))


def pool(maps: Tensor, grid: int) -> Tensor:
    """Return maps (N, C, h, w) by cells of a grid, (N, grid * grid, C)."""
    finer = [min(side, grid) for side in maps.shape[2:]]
    maps = F.adaptive_avg_pool2d(maps, finer)
    if tuple(finer) != (grid, grid):
        maps = F.interpolate(maps, (grid, grid), mode="bilinear", align_corners=False)
    return maps.flatten(2).transpose(1, 2)
