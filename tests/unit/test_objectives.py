"""Losses, scores and chance of every kind of target, against their definitions."""

from __future__ import annotations

import math
from typing import get_args

import numpy as np
import pytest
import torch
from small_targets import KINDS, SIDE, Scenes, halves, network_of
from taskrsa.errors import DataError
from taskrsa.targets.config import KINDS as BY_KIND
from taskrsa.targets.config import UNLABELLED, TargetData
from taskrsa.targets.sets import ArraySet
from taskrsa.training.objectives import OBJECTIVES, accuracy, error_removed, miou, predict
from torch import nn


def test_every_kind_can_be_configured_and_has_an_objective():
    named = get_args(TargetData.model_fields["kind"].annotation)
    assert [*OBJECTIVES, *UNLABELLED] == [*BY_KIND, *UNLABELLED] == list(named)
    assert list(KINDS) == list(BY_KIND)


# --- losses ---


def test_void_has_no_loss():
    loss = OBJECTIVES["segmentation"].loss
    scores = torch.tensor([[[[0.0, 9.0]], [[math.log(3.0), -9.0]]]])
    assert loss(scores, torch.tensor([[[0, 255]]])).item() == pytest.approx(math.log(4))
    assert loss(scores, torch.tensor([[[255, 255]]])).item() == 0


@pytest.mark.parametrize("kind", ["regression", "values"])
def test_what_is_unknown_has_no_loss(kind):
    loss = OBJECTIVES[kind].loss
    values, labels = torch.tensor([[1.0, 5.0]]), torch.tensor([[3.0, torch.nan]])
    if kind == "regression":
        values, labels = values[:, None, None], labels[:, None]
    assert loss(values, labels).item() == 2
    assert loss(values, labels * torch.nan).item() == 0
    # What is unknown must not spoil the gradient either.
    values.requires_grad_()
    loss(values, labels).backward()
    assert values.grad.flatten().tolist() == [-1, 0]


def test_the_loss_of_classes():
    loss = OBJECTIVES["classification"].loss
    assert loss(torch.zeros(1, 4), torch.tensor([1])).item() == pytest.approx(np.log(4))


# --- scores of known answers ---


class RedChannel(nn.Module):
    """A network whose prediction is written in the image: class = red / 50."""

    input_channels, window = 3, None

    def __init__(self):
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        ids = ((images[:, 0] + 1) * 255 / 2 / 50).round().long()
        return nn.functional.one_hot(ids, 4).permute(0, 3, 1, 2).float()


def answered(*pairs) -> Scenes:
    """Return labels, and images in which the answers are written."""
    images = []
    for label, answer in pairs:
        rgb = np.repeat((np.array(answer, np.uint8) * 50)[..., None], 3, 2)
        images.append((rgb, np.array(label, np.uint8)))
    return Scenes("val", tuple(images), ("a", "b", "c", "d"))


def test_miou_is_that_of_all_pixels_together_without_void():
    net = RedChannel().train()
    images = answered(
        ([[0, 0, 0, 1]], [[0, 0, 1, 1]]),
        ([[1, 1], [255, 1], [255, 2]], [[1, 0], [0, 1], [2, 0]]),
    )
    scores = miou(net, images)
    # Worked by hand. a: hit 2, missed 1, wrongly given 2. b: hit 3, missed 1, wrongly given 1.
    # c: missed 1. d: nowhere.
    assert scores.by_class[:3] == pytest.approx([2 / 5, 3 / 5, 0])
    assert math.isnan(scores.by_class[3])
    assert scores.value == pytest.approx((2 / 5 + 3 / 5 + 0) / 3)
    assert scores.n_images == 2
    assert net.training


def test_nothing_to_score_is_an_error():
    with pytest.raises(DataError, match="every pixel is void"):
        miou(RedChannel(), answered(([[255]], [[0]])))


def test_windows_cover_an_image_of_any_size():
    net = RedChannel().eval()
    shown = []

    def note(module, inputs):
        shown.append(inputs[0].shape[2:])

    net.register_forward_pre_hook(note)
    net.window = 6
    for shape in ((6, 6), (13, 8), (4, 9), (3, 3)):
        ids = np.random.default_rng(0).integers(0, 4, shape).astype(np.uint8)
        rgb = np.repeat((ids * 50)[..., None], 3, 2)
        np.testing.assert_array_equal(predict(net, rgb), ids)
    assert set(shown) == {(6, 6)}


class Fixed(nn.Module):
    """A network that gives the answers it is made with."""

    input_channels, window = 3, None

    def __init__(self, outputs):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.outputs = outputs

    def forward(self, images):
        return self.outputs[: len(images)]


def labelled(kind: str, classes: tuple[str, ...], labels) -> ArraySet:
    n = len(labels)
    images = np.zeros((n, SIDE, SIDE, 3), np.uint8)
    return ArraySet("val", kind, classes, tuple(map(str, range(n))), images, np.array(labels))


def test_accuracy_of_all_and_of_each_class():
    data = labelled("classification", ("a", "b", "c"), np.array([0, 0, 1, 1], np.uint8))
    scores = accuracy(Fixed(torch.eye(3)[torch.tensor([0, 1, 1, 1])]), data)
    assert scores.value == 0.75
    assert scores.by_class[:2] == (0.5, 1)
    assert np.isnan(scores.by_class[2])


def test_error_removed_from_a_map():
    labels = np.array([1.0, -1, 2, np.nan], np.float32).reshape(4, 1, 1)
    data = labelled("regression", ("value",), labels)
    scores = error_removed(Fixed(torch.tensor([1.0, 0, 1, 9]).view(4, 1, 1, 1)), data)
    assert scores.value == pytest.approx(1 - (0 + 1 + 1) / (1 + 1 + 2))
    assert scores.by_class == (scores.value,)


def test_error_removed_is_the_mean_over_numbers():
    labels = np.array([[1.0, -2], [-1, np.nan], [2, 4]], np.float32)
    data = labelled("values", ("price", "age"), labels)
    scores = error_removed(Fixed(torch.tensor([[1.0, 0], [0, 9], [1, 1]])), data)
    removed = (1 - 2 / 4, 1 - 5 / 6)
    assert scores.by_class == pytest.approx(removed)
    assert scores.value == pytest.approx(np.mean(removed))
    flat = labelled("values", ("price", "age"), labels * np.float32([1, 0]))
    with pytest.raises(DataError, match="no known age differs from the training median"):
        error_removed(Fixed(torch.zeros(3, 2)), flat)


# --- scores of a network, in numpy ---


@pytest.mark.parametrize("kind", KINDS)
def test_scores_of_a_network_against_numpy(kind):
    # More images than are scored at a time; some of the labels are unknown.
    data = halves(kind, 19, seed=1)
    labels = data.labels.copy()
    if kind in ("segmentation", "regression"):
        labels[:, :5, 3:] = data.void
        labels[4] = data.void
    if kind == "values":
        labels[3, 0] = labels[5, 1] = np.nan
    data = ArraySet("val", kind, data.classes, data.ids, data.images, labels)
    network = network_of(kind, data.classes, seed=3)
    found = OBJECTIVES[kind].evaluate(network, data)
    images = torch.from_numpy(data.images).permute(0, 3, 1, 2) / 127.5 - 1
    with torch.no_grad():
        outputs = network.eval()(images).numpy()
    if kind == "classification":
        expected = (outputs.argmax(1) == labels).mean()
    elif kind == "segmentation":
        ious = []
        answer, known = outputs.argmax(1), labels != data.void
        for name in range(2):
            both = ((answer == name) & (labels == name) & known).sum()
            ious.append(both / (((answer == name) | (labels == name)) & known).sum())
        assert found.by_class == pytest.approx(ious, abs=1e-6)
        expected = np.mean(ious)
    else:
        shown = outputs[:, 0] if kind == "regression" else outputs
        axes = (0, 1, 2) if kind == "regression" else 0
        expected = np.mean(1 - np.nansum(np.abs(shown - labels), axes)
                           / np.nansum(np.abs(labels), axes))  # fmt: skip
    assert found.value == pytest.approx(expected, abs=1e-5)
    assert found.n_images == 19


# --- chance ---


def test_chance_is_the_best_constant_answer():
    train = labelled("classification", ("a", "b", "c"), np.array([0, 1, 1], np.uint8))
    val = labelled("classification", ("a", "b", "c"), np.array([1, 1, 0, 2], np.uint8))
    assert OBJECTIVES["classification"].chance(train, val) == pytest.approx(0.5)
    train = labelled("segmentation", ("a", "b", "c"), np.array([[[1, 1], [1, 255]]], np.uint8))
    # IoU of class b is 2 of 3 pixels, that of class a nothing.
    val = labelled("segmentation", ("a", "b", "c"), np.array([[[1, 1], [0, 255]]], np.uint8))
    assert OBJECTIVES["segmentation"].chance(train, val) == pytest.approx((2 / 3 + 0) / 2)
    for kind in ("regression", "values"):
        assert OBJECTIVES[kind].chance(halves(kind), halves(kind)) == 0
