"""What an encoder is shown: photographs turned into network input, as the bank's authors did."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

CLIP = (0.1, 0.9)
NOISE_VARIANCE = 0.01  # of the denoising task's input, on [0, 1]


def network_input(
    rgb: np.ndarray,
    kind: str = "rgb",
    clip: bool = True,
    noise: torch.Generator | None = None,
) -> Tensor:
    """Turn photographs into an encoder's input.

    Parameters
    ----------
    rgb : (N, H, W, 3) uint8
    kind : "rgb"; "lightness" for LAB lightness in one channel; "masked" for the centre quarter
        (half the height, half the width) set to 0 after scaling; "noisy" for Gaussian noise, which
        is added only where `noise` is given (the authors extract without)
    clip : clip [0, 1] to [0.1, 0.9] before scaling to [-1, 1]

    Returns
    -------
    (N, 1 or 3, H, W) float32 in [-1, 1], channels last in memory
    """
    unit = _lightness(rgb) if kind == "lightness" else torch.from_numpy(rgb).float() / 255
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

    It sees the target task's input in its own format: an encoder of three channels gets the same
    lightness in each of them, an encoder of one channel the lightness of the masked or noisy
    photograph. Nothing is clipped, as in the bank's training.

    Parameters
    ----------
    rgb : (N, H, W, 3) uint8
    source_channels : 1 or 3 channels that the encoder takes
    target_kind : as `kind` of `network_input`
    noise : for the target kind "noisy"

    Returns
    -------
    (N, source_channels, H, W) float32, channels last in memory
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
