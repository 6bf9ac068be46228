"""Losses of the bank, and the loss of a predictor that gives every image the same answer."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

PAIR_PIXELS = 64  # pixels sampled in each image for the metric loss
IGNORED = -1  # class index of a pixel without a label


def l1(prediction: Tensor, target: Tensor, valid: Tensor, **_) -> Tensor:
    """Mean absolute error over valid values. Dense: (N, C, h, w), valid (N, h, w)."""
    return _masked_mean((prediction - target).abs(), valid)


def l2(prediction: Tensor, target: Tensor, valid: Tensor, **_) -> Tensor:
    """Mean squared error over valid values; vectors are (N, K) with valid (N,)."""
    return _masked_mean((prediction - target).square(), valid)


def cross_entropy(prediction: Tensor, target: Tensor, valid: Tensor, **_) -> Tensor:
    """Cross entropy of class maps: logits (N, K, h, w), target (N, h, w) of class indices."""
    target = torch.where(valid, target.long(), IGNORED)
    total = F.cross_entropy(prediction, target, ignore_index=IGNORED, reduction="sum")
    return total / valid.sum().clamp(min=1)


def soft_cross_entropy(prediction: Tensor, target: Tensor, valid: Tensor, **_) -> Tensor:
    """Cross entropy against a distribution: logits and target (N, K), valid (N,)."""
    losses = F.cross_entropy(prediction, target, reduction="none")
    return (losses * valid).sum() / valid.sum().clamp(min=1)


def metric(
    prediction: Tensor, target: Tensor, valid: Tensor, generator: torch.Generator | None = None
) -> Tensor:
    """Metric loss of unsupervised segmentation (Fathi et al. 2017, equation 1).

    For sampled pixel pairs with embeddings p and q, sigma = 2 / (1 + exp(|p - q|^2)) is the
    probability of one segment. Pairs within and between segments weigh half each, so that a
    constant sigma costs ln 2.

    Parameters
    ----------
    prediction : (N, D, h, w) embeddings
    target : (N, h, w) segment ids, which mean nothing across images
    """
    count, channels = prediction.shape[:2]
    pixels = target[0].numel()
    chosen = torch.randint(pixels, (count, PAIR_PIXELS), generator=generator, device="cpu")
    chosen = chosen.to(prediction.device)
    points = prediction.flatten(2).gather(2, chosen[:, None].expand(-1, channels, -1))
    ids = target.flatten(1).gather(1, chosen)
    known = valid.flatten(1).gather(1, chosen)
    squares = points.square().sum(1)
    distance = squares[:, :, None] + squares[:, None] - 2 * points.transpose(1, 2) @ points
    distance = distance.clamp(min=1e-4)  # keeps log(1 - sigma) finite for equal embeddings
    pairs = torch.triu(torch.ones(PAIR_PIXELS, PAIR_PIXELS, device=points.device), 1).bool()
    pairs = pairs & known[:, :, None] & known[:, None]
    same = ids[:, :, None] == ids[:, None]
    together, apart = pairs & same, pairs & ~same
    log_norm = F.softplus(distance)  # log(1 + exp(d))
    cost_together = log_norm - math.log(2)
    # log(exp(d) - 1) = d + log(1 - exp(-d)), which does not overflow
    cost_apart = log_norm - distance - torch.log(-torch.expm1(-distance))
    return 0.5 * (
        (cost_together * together).sum() / together.sum().clamp(min=1)
        + (cost_apart * apart).sum() / apart.sum().clamp(min=1)
    )


LOSSES: dict[str, Callable[..., Tensor]] = {
    "l1": l1,
    "l2": l2,
    "cross_entropy": cross_entropy,
    "soft_cross_entropy": soft_cross_entropy,
    "metric": metric,
}


def _masked_mean(errors: Tensor, valid: Tensor) -> Tensor:
    mask = valid[:, None] if valid.ndim == errors.ndim - 1 else valid
    return (errors * mask).sum() / mask.expand_as(errors).sum().clamp(min=1)


def constant_loss(
    loss: str, train: tuple[Tensor, Tensor], val: tuple[Tensor, Tensor], classes: int = 0
) -> float:
    """Return the validation loss of the best predictor that ignores its input.

    It answers, at every position, with the median (L1), mean (L2) or class frequencies of the
    training labels. A network that does not beat it has learnt nothing about the images.

    Parameters
    ----------
    train, val : labels and their validity, shaped as the loss takes them
    classes : number of classes, for the cross entropy of class maps
    """
    target, valid = train
    if loss == "metric":
        return math.log(2)
    if loss in ("l1", "l2"):
        values = target.float().clone()
        mask = valid.reshape(_aligned(valid, values))
        values.masked_fill_(~mask.expand_as(values), math.nan)
        if loss == "l1":
            answer, overall = values.nanmedian(0).values, values.nanmedian()
        else:
            answer, overall = values.nanmean(0), values.nanmean()
        answer = torch.where(answer.isnan(), overall, answer)
    elif loss == "cross_entropy":
        overall = torch.bincount(target[valid].long(), minlength=classes).float()
        overall = (overall + 1) / (overall + 1).sum()
        # One pseudo-image of the overall frequencies, so that no position gives a class none.
        counts = overall[:, None, None].repeat(1, *target.shape[1:])
        for labels, known in zip(target, valid, strict=True):
            counts.scatter_add_(0, labels.long().clamp(min=0)[None], known[None].float())
        answer = (counts / counts.sum(0)).log()
    else:
        answer = target[valid].float().mean(0).clamp(min=1e-6).log()
    target, valid = val
    prediction = answer[None].expand(len(target), *answer.shape)
    return float(LOSSES[loss](prediction, target, valid))


def channel_statistics(target: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation (K,) of each channel of the valid labels.

    Parameters
    ----------
    target : (N, K, h, w) or (N, K)
    valid : (N, h, w) or (N,)
    """
    values = target.float().transpose(0, 1)
    mask = valid.reshape(_aligned(valid, target)).transpose(0, 1).expand_as(values)
    count = mask.flatten(1).sum(1).clamp(min=1)
    mean = (values * mask).flatten(1).sum(1) / count
    centred = (values.flatten(1) - mean[:, None]) * mask.flatten(1)
    # A channel that never varies keeps its size; only its mean matters.
    deviation = (centred.square().sum(1) / count).sqrt()
    return mean, torch.where(deviation > 1e-6, deviation, torch.ones_like(deviation))


def _aligned(valid: Tensor, values: Tensor) -> tuple[int, ...]:
    """Return the shape that puts `valid` (N,) or (N, h, w) beside `values` (N, C, ...)."""
    if valid.ndim == 1:
        return (len(valid), *[1] * (values.ndim - 1))
    return (len(valid), 1, *valid.shape[1:])
