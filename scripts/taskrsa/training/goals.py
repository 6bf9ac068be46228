"""What is learnt of a target of the user's own, and how it is scored, by its kind."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from taskrsa.errors import DataError
from taskrsa.io.files import digest_of, sha256_of
from taskrsa.networks.preprocessing import transfer_input
from taskrsa.networks.target import TargetNetwork
from taskrsa.targets.labelled import LabelledSet
from taskrsa.training.finetuning import (
    Goal,
    Recipe,
    Scores,
    evaluate,
    fine_tune,
    pixel_loss,
    settings_of,
)

_BATCH = 16  # images scored at a time


def goal_of(kind: str) -> Goal:
    """Return what a network of a target learns.

    segmentation : cross entropy of pixels; mean intersection over union
    classification : cross entropy; share of the images whose class is right, by class
    regression : mean absolute error; share of it that is removed of the error of the training
        values' median
    """
    return {
        "segmentation": Goal(pixel_loss, evaluate),
        "classification": Goal(_class_loss, _accuracy),
        "regression": Goal(_value_loss, _error_removed),
    }[kind]


def _class_loss(scores: Tensor, labels: Tensor, void: float) -> Tensor:
    return F.cross_entropy(scores, labels)


def _value_loss(values: Tensor, labels: Tensor, void: float) -> Tensor:
    known = ~labels.isnan()
    error = (values[:, 0] - labels.nan_to_num()).abs() * known
    return error.sum() / known.sum().clamp(min=1)


@torch.no_grad()
def _outputs(network: TargetNetwork, images: LabelledSet):
    """Yield the outputs of a set and its labels, some images at a time."""
    device = next(network.parameters()).device
    training = network.training
    network.eval()
    for start in range(0, len(images), _BATCH):
        rows = slice(start, start + _BATCH)
        shown = transfer_input(images.images[rows], network.input_channels, "rgb")
        labels = torch.from_numpy(np.ascontiguousarray(images.labels[rows])).to(device)
        yield network(shown.to(device)).float(), labels
    network.train(training)


def _accuracy(network: TargetNetwork, images: LabelledSet) -> Scores:
    from torchmetrics.classification import MulticlassAccuracy

    device = next(network.parameters()).device
    n = len(images.classes)
    overall = MulticlassAccuracy(n, average="micro").to(device)
    by_class = MulticlassAccuracy(n, average=None).to(device)
    for scores, labels in _outputs(network, images):
        for metric in (overall, by_class):
            metric.update(scores, labels.long())
    occurring = np.bincount(images.labels, minlength=n) > 0
    found = by_class.compute().double().cpu().numpy()
    return Scores(overall.compute().item(), tuple(np.where(occurring, found, np.nan)), len(images))


def _error_removed(network: TargetNetwork, images: LabelledSet) -> Scores:
    from torchmetrics import MeanAbsoluteError

    device = next(network.parameters()).device
    ours, constant = MeanAbsoluteError().to(device), MeanAbsoluteError().to(device)
    for values, labels in _outputs(network, images):
        known = ~labels.isnan()
        if known.any():
            ours.update(values[:, 0][known], labels[known])
            # 0 is the training values' median.
            constant.update(torch.zeros_like(labels[known]), labels[known])
    if not constant.total:
        raise DataError("target: no validation image has a value; there is nothing to score")
    value = 1 - (ours.compute() / constant.compute()).item()
    return Scores(value, (value,), len(images))


def floor(train: LabelledSet, val: LabelledSet) -> float:
    """Return the score of the best constant answer that the training labels suggest."""
    if train.kind == "regression":
        return 0.0
    counts = [
        np.bincount(split.labels.ravel(), minlength=256)[: len(split.classes)].astype(float)
        for split in (train, val)
    ]
    answer = counts[0].argmax()
    if train.kind == "classification":
        return float(counts[1][answer] / counts[1].sum())
    # The answer's own IoU, and 0 for every other class that occurs.
    occurring = counts[1] > 0
    occurring[answer] = True
    return float(counts[1][answer] / counts[1].sum() / occurring.sum())


def target_settings(
    network: TargetNetwork,
    train: LabelledSet,
    val: LabelledSet,
    recipe: Recipe,
    seed: int,
    start: dict,
) -> dict:
    """Return everything that decides the result of a training; `start` says where it begins."""
    settings = settings_of(network, train, val, recipe, seed)
    return settings | {"kind": network.kind, "start": start, "target program": _program_digest()}


@lru_cache(maxsize=1)
def _program_digest() -> str:
    library = Path(__file__).parents[1]
    networks = ("target", "loading", "taps", "probing", "layers", "onnx_network")
    names = ("training/goals.py", *(f"networks/{name}.py" for name in networks))
    return digest_of(sha256_of(library / name) for name in names)


def seconds_of_training(
    make: Callable[[], TargetNetwork],
    train: LabelledSet,
    val: LabelledSet,
    recipe: Recipe,
    seed: int,
    steps: int = 4,
) -> tuple[float, float]:
    """Return seconds a step, and seconds of everything besides steps, measured on a few steps.

    Parameters
    ----------
    make : returns the network, anew each time
    """

    def seconds(n: int) -> float:
        plan = replace(recipe, steps=n, eval_every=0, checkpoint_seconds=0, checkpoint_steps=0)
        network = make()
        start = time.perf_counter()
        fine_tune(network, train, val, plan, seed, goal=goal_of(train.kind))
        return time.perf_counter() - start

    seconds(1)  # what is done once a process
    few, many = seconds(1), seconds(1 + steps)
    step = max(many - few, 1e-6) / steps
    return step, max(few - step, 0.0)
