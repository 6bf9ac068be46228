"""What is learnt of a target and how it is scored, by its kind.

segmentation    cross entropy of pixels; mean intersection over union of the classes
classification  cross entropy; share of the images whose class is right
regression      mean absolute error of pixels; share removed of the error of the constant answer,
values          the same of the numbers of an image; the mean over them

The constant answer is the median of the training values, which labels are relative to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from taskrsa.errors import DataError
from taskrsa.networks.preprocessing import transfer_input
from taskrsa.networks.target import TargetNetwork
from taskrsa.targets.pixels import VOID
from taskrsa.targets.sets import LabelledSet
from taskrsa.training.batches import GREY
from taskrsa.training.losses import cross_entropy, l1

_BATCH = 16  # images of one size scored at a time


@dataclass(frozen=True)
class Scores:
    """Scores of a network on a set."""

    value: float  # what networks are compared by
    by_class: tuple[float, ...]  # nan where neither labels nor predictions have the class
    n_images: int


@dataclass(frozen=True)
class Objective:
    """What a network learns: the loss of its outputs and the labels, its scores on a set, and the
    score on the second set of the best constant answer that the labels of the first suggest."""

    loss: Callable[[Tensor, Tensor], Tensor]
    evaluate: Callable[[TargetNetwork, LabelledSet], Scores]
    chance: Callable[[LabelledSet, LabelledSet], float]


# --- losses ---


def pixel_loss(scores: Tensor, labels: Tensor) -> Tensor:
    """Return the mean cross entropy of scores (N, K, H, W) over the labels (N, H, W) that are not
    void, 0 if there are none."""
    return cross_entropy(scores, labels, labels != VOID)


def value_loss(values: Tensor, labels: Tensor) -> Tensor:
    """Return the mean absolute error of values (N, 1, H, W) or (N, K) over the labels (N, H, W) or
    (N, K) that are not nan, 0 if there are none."""
    return l1(values.reshape(labels.shape), labels.nan_to_num(), ~labels.isnan())


# --- scores ---


@contextmanager
def scoring(network: TargetNetwork) -> Iterator[torch.device]:
    """Put a network into evaluation mode for a while; yield its device."""
    training = network.training
    network.eval()
    with torch.no_grad():
        yield next(network.parameters()).device
    network.train(training)


def predict(network: TargetNetwork, rgb: np.ndarray) -> Tensor:
    """Return the class ids of one image (H, W, 3) uint8 at its own size, (H, W) int64.

    The network must be in evaluation mode. One that takes images of one size sees windows of the
    side of its training crops, so that things are as large as they were in training.
    """
    if network.window is None:
        return _class_ids(network, rgb)
    side = network.window
    height, width = rgb.shape[:2]
    # Mid-grey around what is smaller than a window, as in training.
    filled = np.full((max(height, side), max(width, side), 3), GREY, np.uint8)
    filled[:height, :width] = rgb
    ids = torch.empty(filled.shape[:2], dtype=torch.int64)
    for top in starts(filled.shape[0], side):
        for left in starts(filled.shape[1], side):
            window = slice(top, top + side), slice(left, left + side)
            ids[window] = _class_ids(network, filled[window]).cpu()
    return ids[:height, :width]


def starts(length: int, side: int) -> list[int]:
    """Return where windows begin that cover a length; the last ends with it."""
    return [min(start, length - side) for start in range(0, length, side)]


@torch.no_grad()
def _class_ids(network: TargetNetwork, rgb: np.ndarray) -> Tensor:
    # A copy, because what an image file is read into cannot be written and PyTorch warns of that.
    shown = transfer_input(np.array(rgb)[None], network.input_channels, "rgb")
    return network(shown.to(next(network.parameters()).device))[0].argmax(0)


def miou(network: TargetNetwork, images: LabelledSet) -> Scores:
    """Score a segmentation on a whole set, each image at its own size, void left out; DataError if
    there is nothing else."""
    n = len(images.classes)
    pairs = torch.zeros(n * n, dtype=torch.int64)  # of label and prediction
    with scoring(network):
        for i in range(len(images)):
            labels = torch.from_numpy(images.label(i).astype(np.int64))
            predicted = predict(network, images.image(i)).cpu()
            known = labels != VOID
            pairs += torch.bincount(labels[known] * n + predicted[known], minlength=n * n)
    counts = pairs.view(n, n).float()
    hits = counts.diag()
    # 0 of 0, nan, for classes that occur neither in the labels nor in the predictions.
    iou = (hits / (counts.sum(0) + counts.sum(1) - hits)).double()
    if iou.isnan().all():
        raise DataError(f"split {images.name}: every pixel is void; there is nothing to score")
    return Scores(iou.nanmean().item(), tuple(iou.tolist()), len(images))


def _outputs(
    network: TargetNetwork, images: LabelledSet, device: torch.device
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the outputs of a set and its labels, some images at a time."""
    for start in range(0, len(images), _BATCH):
        rows = range(start, min(start + _BATCH, len(images)))
        rgb, labels = (np.stack([read(i) for i in rows]) for read in (images.image, images.label))
        shown = transfer_input(rgb, network.input_channels, "rgb")
        yield network(shown.to(device)).float(), torch.from_numpy(labels).to(device)


def accuracy(network: TargetNetwork, images: LabelledSet) -> Scores:
    """Score a classification by the share of images whose class is right, and by class."""
    n = len(images.classes)
    right, asked = np.zeros(n), np.zeros(n)
    with scoring(network) as device:
        for scores, labels in _outputs(network, images, device):
            wanted, given = labels.long().cpu().numpy(), scores.argmax(1).cpu().numpy()
            asked += np.bincount(wanted, minlength=n)
            right += np.bincount(wanted[wanted == given], minlength=n)
    by_class = np.divide(right, asked, out=np.full(n, np.nan), where=asked > 0)
    # A plain number, as states of a training hold no others.
    return Scores(float(right.sum() / asked.sum()), tuple(by_class.tolist()), len(images))


def error_removed(network: TargetNetwork, images: LabelledSet) -> Scores:
    """Score values by the share of the constant answer's absolute error that is removed: of each
    of K outputs, and their mean. DataError if no known label of an output differs from it."""
    n = len(images.classes)
    ours, constant = np.zeros(n), np.zeros(n)
    with scoring(network) as device:
        for values, labels in _outputs(network, images, device):
            known = ~labels.isnan()
            wanted = labels.nan_to_num()
            for total, error in (
                (ours, (values.reshape(labels.shape) - wanted).abs() * known),
                (constant, wanted.abs()),
            ):
                # Pixels of a map are one output.
                by_output = error.double().reshape(len(labels), n, -1).sum((0, 2))
                total += by_output.cpu().numpy()
    if not (constant > 0).all():
        name = images.classes[int(np.argmin(constant))]
        raise DataError(
            f"split {images.name}: no known {name} differs from the training median; there is "
            "nothing to score"
        )
    removed = 1 - ours / constant
    return Scores(float(removed.mean()), tuple(removed.tolist()), len(images))


# --- chance ---


def _counts(images: LabelledSet) -> np.ndarray:
    """Return how often each class occurs in a set."""
    total = np.zeros(256)
    for i in range(len(images)):
        total += np.bincount(np.ravel(images.label(i)), minlength=256)
    return total[: len(images.classes)]


def _chance_miou(train: LabelledSet, val: LabelledSet) -> float:
    """Return the mean IoU of the most frequent class everywhere: its own, and 0 for every other
    class that occurs."""
    answer, counts = _counts(train).argmax(), _counts(val)
    occurring = counts > 0
    occurring[answer] = True
    return float(counts[answer] / counts.sum() / occurring.sum())


def _chance_accuracy(train: LabelledSet, val: LabelledSet) -> float:
    counts = _counts(val)
    return float(counts[_counts(train).argmax()] / counts.sum())


_OF_VALUES = Objective(value_loss, error_removed, lambda train, val: 0.0)
OBJECTIVES = {
    "segmentation": Objective(pixel_loss, miou, _chance_miou),
    "classification": Objective(F.cross_entropy, accuracy, _chance_accuracy),
    "regression": _OF_VALUES,
    "values": _OF_VALUES,
}
