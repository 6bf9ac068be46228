"""Push the stimuli through a network once and keep the features of its layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from taskrsa.data.pack import Photographs
from taskrsa.errors import RepresentationError
from taskrsa.rsa.spill import SpilledFeatures

Features = np.ndarray | SpilledFeatures


@torch.inference_mode()
def extract(
    run: Callable[[Tensor], dict[str, Tensor]],
    to_input: Callable[[np.ndarray], Tensor],
    images: np.ndarray | Photographs,
    batch_size: int,
    model: str,
    *,
    layers: Sequence[str] | None = None,
    features_mb: float | None = None,
) -> dict[str, Features]:
    """Return the flattened features of a network's layers, by name.

    Parameters
    ----------
    run : turns a batch of the network's input into features; see `TapNetwork.extractor`
    to_input : turns (N, H, W, 3) uint8 photographs into the network's input
    images : (n, H, W, 3) uint8, in memory or read batch by batch
    batch_size : images in one forward pass; small batches are fastest on CPU
    model : name for the progress bar and for errors
    layers : layers to keep; by default all
    features_mb : megabytes (1e6 bytes) of features to hold in memory; the largest layers beyond it
        go to a temporary file. By default all are held.

    Returns
    -------
    dict of (n, d) float32 arrays, or `SpilledFeatures`, one per layer in the order of the network.
        The features of an image are in the order of rows, columns, channels.

    Raises
    ------
    RepresentationError
        If the network has no such layer.
    DataError
        If there is no room for features that go to a temporary file.
    """
    features: dict[str, Features] = {}
    for start in tqdm(range(0, len(images), batch_size), desc=model, mininterval=5):
        batch = to_input(images[start : start + batch_size])
        taps = run(batch)
        if start == 0:
            features = _room(_chosen(taps, layers, model), len(images), features_mb)
        for layer, rows in features.items():
            _put(taps[layer], rows, start)
        del batch, taps  # not beside the next ones
    return features


def _chosen(taps: dict[str, Tensor], layers: Sequence[str] | None, model: str) -> dict[str, Tensor]:
    for layer in layers or ():
        if layer not in taps:
            raise RepresentationError(f"{model}: no layer {layer}; it has {', '.join(taps)}")
    return {layer: values for layer, values in taps.items() if layers is None or layer in layers}


def _room(taps: dict[str, Tensor], n: int, features_mb: float | None) -> dict[str, Features]:
    """Make room for n images' features: in memory, the smallest layers first, or in files."""
    widths = {layer: values[0].numel() for layer, values in taps.items()}
    left = np.inf if features_mb is None else features_mb * 1e6
    room: dict[str, Features] = {}
    for layer in sorted(widths, key=widths.__getitem__):
        size = 4 * n * widths[layer]
        room[layer] = (
            np.empty((n, widths[layer]), np.float32)
            if size <= left
            else SpilledFeatures(n, widths[layer])
        )
        left -= size
    return {layer: room[layer] for layer in taps}


def _put(values: Tensor, rows: Features, start: int) -> None:
    """Store one batch of a tap, in the order in which channels-last values lie in memory."""
    if values.ndim == 4:
        values = values.permute(0, 2, 3, 1)
    if isinstance(rows, SpilledFeatures):
        rows.append(values.flatten(1).float().cpu().numpy())
        return
    place = torch.from_numpy(rows[start : start + len(values)])
    place.view(values.shape).copy_(values)  # converts and moves, without an array between
