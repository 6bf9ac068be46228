"""What a network is shown: photographs turned into its input.

Encoders of this project are shown what the bank's authors showed them, other networks what their
row in the table says.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from taskrsa.networks.network import Network

CLIP = (0.1, 0.9)
NOISE_VARIANCE = 0.01  # of the denoising task's input, on [0, 1]
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


def input_of(row: Network, clip: bool) -> Callable[[np.ndarray], Tensor]:
    """Return what turns (N, H, W, 3) uint8 photographs into a network's input, (N, C, size, size).

    Photographs are resized first, whole, then turned into the row's channels, then normalised.

    Parameters
    ----------
    row : of a network that is loaded (`TapNetwork.row`)
    clip : whether encoders of this project are shown clipped photographs, as `network_input` says;
        those of tasks that their authors did not clip, and other networks, never are
    """
    if row.is_native:
        shown = partial(network_input, kind=row.input, clip=clip and row.clip)
        return shown if row.size is None else lambda rgb: shown(_resized(rgb, row))
    normalise = normalisation_of(row)
    return lambda rgb: normalise(torch.from_numpy(rgb).permute(0, 3, 1, 2).float() / 255)


def _resized(rgb: np.ndarray, row: Network) -> np.ndarray:
    """Return (N, size, size, 3) float32 on [0, 1]; photographs of that size as they are."""
    if rgb.shape[1:3] == (row.size, row.size):
        return rgb
    images = torch.from_numpy(rgb).permute(0, 3, 1, 2).float() / 255
    return resize(images, row).permute(0, 2, 3, 1).contiguous().numpy()


def resize(images: Tensor, row: Network) -> Tensor:
    """Return (N, 3, H, W) images on [0, 1] at a row's size, averaged over the area if smaller."""
    if row.size is None or images.shape[2:] == (row.size, row.size):
        return images
    images = F.interpolate(images, (row.size,) * 2, mode=row.interpolation, antialias=True)
    return images.clamp(0, 1) if row.interpolation == "bicubic" else images


def normalisation_of(row: Network) -> Callable[[Tensor], Tensor]:
    """Return what turns photographs (N, 3, H, W) on [0, 1] into a network's input, not clipped; the
    row is as of `input_of`."""

    def normalise(images: Tensor) -> Tensor:
        images = resize(images, row)
        if row.channels == "bgr":
            images = images.flip(1)
        elif row.channels == "grey":
            images = (images * _per_channel(LUMA, images)).sum(1, keepdim=True)
        elif row.channels == "lightness":
            shown = images.clamp(0, 1).permute(0, 2, 3, 1).cpu().numpy()
            images = _lightness(shown).permute(0, 3, 1, 2).to(images.device)
        elif row.channels == "rgba":
            images = torch.cat([images, torch.ones_like(images[:, :1])], dim=1)
        return (images - _per_channel(row.mean, images)) / _per_channel(row.std, images)

    return normalise


def _per_channel(values: tuple[float, ...], images: Tensor) -> Tensor:
    return torch.tensor(values, device=images.device).view(-1, 1, 1)


def network_input(
    rgb: np.ndarray,
    kind: str = "rgb",
    clip: bool = True,
    noise: torch.Generator | None = None,
) -> Tensor:
    """Turn photographs into an encoder's input.

    Parameters
    ----------
    rgb : (N, H, W, 3) uint8, or float32 on [0, 1]
    kind : "rgb"; "lightness" for LAB lightness in one channel; "masked" for the centre quarter
        (half the height, half the width) set to 0 after scaling; "noisy" for Gaussian noise, which
        is added only where `noise` is given (the authors extract without)
    clip : clip [0, 1] to [0.1, 0.9] before scaling to [-1, 1]

    Returns
    -------
    (N, 1 or 3, H, W) float32 in [-1, 1], channels last in memory
    """
    if kind == "lightness":
        unit = _lightness(rgb)
    else:
        unit = torch.from_numpy(rgb).float() / (255 if rgb.dtype == np.uint8 else 1)
    if kind == "noisy" and noise is not None:
        unit = unit + torch.randn(unit.shape, generator=noise) * NOISE_VARIANCE**0.5
    if clip:
        unit = unit.clamp(*CLIP)
    scaled = unit * 2 - 1
    if kind == "masked":
        height, width = rgb.shape[1:3]
        scaled[:, height // 4 : height - height // 4, width // 4 : width - width // 4] = 0
    # A view whose strides are channels-last: convolutions on CPU want exactly that.
    return scaled.permute(0, 3, 1, 2)


def transfer_input(
    rgb: np.ndarray,
    source_channels: int,
    target_kind: str,
    noise: torch.Generator | None = None,
) -> Tensor:
    """Turn photographs into what a source's encoder is shown when it serves another task.

    It sees the target task's input, as of `network_input`, in its own format: an encoder of three
    channels gets the same lightness in each of them, an encoder of one channel the lightness of the
    masked or noisy photograph. Nothing is clipped, as in the bank's training.

    Parameters
    ----------
    source_channels : 1 or 3 channels that the encoder takes
    target_kind : `kind` of the target task
    """
    shown = network_input(rgb, target_kind, clip=False, noise=noise)
    if shown.shape[1] == source_channels:
        return shown
    if source_channels == 3:
        return shown.expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)
    photograph = rgb if target_kind == "rgb" else (shown.permute(0, 2, 3, 1).numpy() + 1) / 2
    return (_lightness(photograph) * 2 - 1).permute(0, 3, 1, 2)


def _lightness(rgb: np.ndarray) -> Tensor:
    """Return LAB lightness on [0, 1], (N, H, W, 1), of photographs of bytes or of [0, 1]."""
    from skimage.color import rgb2lab

    return torch.from_numpy((rgb2lab(rgb)[..., :1] / 100).astype(np.float32))
