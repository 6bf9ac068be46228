"""Push the stimuli through a network once and keep the features of its layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from taskrsa.data.pack import Photographs
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
    model : name for the progress bar
    layers : layers to keep; by default all
    features_mb : megabytes (1e6 bytes) of features to hold in memory; the largest layers beyond it
        go to a temporary file. By default all are held.

    Returns
    -------
    dict of (n, d) float32 arrays, or `SpilledFeatures`, one per layer in the order of the network.
        The features of an image are in the order of rows, columns, channels.

    Raises
    ------
    DataError
        If there is no room for features that go to a temporary file.
    """
    features: dict[str, Features] = {}
    for start in tqdm(range(0, len(images), batch_size), desc=model, mininterval=5):
        batch = to_input(images[start : start + batch_size])
        taps = run(batch)
        if start == 0:
            wanted = [name for name in taps if layers is None or name in layers]
            features = _room({name: taps[name] for name in wanted}, len(images), features_mb)
        for layer, rows in features.items():
            _put(taps[layer], rows, start)
        del batch, taps  # not beside the next ones
    return features


def _room(taps: dict[str, Tensor], n: int, features_mb: float | None) -> dict[str, Features]:
    """Make room for n images' features: in memory, the smallest layers first, or in files."""
    widths = {layer: values[0].numel() for layer, values in taps.items()}
    left = np.inf if features_mb is None else features_mb * 1e6
    room: dict[str, Features] = {}
    for layer, d in sorted(widths.items(), key=lambda item: item[1]):
        held = 4 * n * d <= left
        room[layer] = np.empty((n, d), np.float32) if held else SpilledFeatures(n, d)
        left -= 4 * n * d
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
