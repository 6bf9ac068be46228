"""Push the stimuli through a network once and keep the features of all layers in memory."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from taskrsa.errors import RepresentationError


@torch.inference_mode()
def extract(
    encoder: nn.Module,
    to_input: Callable[[np.ndarray], Tensor],
    images: np.ndarray,
    batch_size: int,
    model: str,
) -> dict[str, np.ndarray]:
    """Return the flattened features of every tap, by layer name.

    Parameters
    ----------
    encoder : a network in evaluation mode with a method `features`
    to_input : turns (N, H, W, 3) uint8 photographs into the network's input
    images : (n, H, W, 3) uint8
    batch_size : images in one forward pass; small batches are fastest on CPU
    model : name for the progress bar and for errors

    Returns
    -------
    dict of (n, d) float32 arrays, one per layer

    Raises
    ------
    RepresentationError
        If the network is in training mode, in which a batch would change each image's features.
    """
    if encoder.training:
        raise RepresentationError(f"{model}: is in training mode; call eval() before extraction")
    device = next(encoder.parameters()).device
    encoder = encoder.to(memory_format=torch.channels_last)
    features: dict[str, np.ndarray] = {}
    for start in tqdm(range(0, len(images), batch_size), desc=model, mininterval=5):
        batch = to_input(images[start : start + batch_size]).to(device)
        for layer, values in encoder.features(batch).items():
            flat = values.flatten(1).float().cpu().numpy()
            if layer not in features:
                features[layer] = np.empty((len(images), flat.shape[1]), np.float32)
            features[layer][start : start + len(flat)] = flat
    return features
