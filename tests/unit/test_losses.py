"""Losses of the bank and the constant predictor, on numbers worked by hand."""

import math

import pytest
import torch
from taskrsa.training.losses import (
    LOSSES,
    channel_statistics,
    constant_loss,
    cross_entropy,
    l1,
    l2,
    metric,
    soft_cross_entropy,
)


def test_l1_and_l2_leave_invalid_pixels_out():
    prediction = torch.tensor([[[[1.0, 5.0]]]])
    target = torch.tensor([[[[3.0, 100.0]]]])
    valid = torch.tensor([[[True, False]]])
    assert l1(prediction, target, valid).item() == 2
    assert l2(prediction, target, valid).item() == 4


def test_vectors_leave_invalid_images_out():
    prediction, target = torch.zeros(2, 3), torch.tensor([[1.0, 1, 1], [9.0, 9, 9]])
    assert l2(prediction, target, torch.tensor([True, False])).item() == 1


def test_cross_entropy_by_hand():
    logits = torch.tensor([[[[0.0, 0.0]], [[math.log(3), 0.0]]]])  # two classes, two pixels
    target = torch.tensor([[[1, 0]]])
    valid = torch.tensor([[[True, False]]])
    assert cross_entropy(logits, target, valid).item() == pytest.approx(-math.log(0.75))
    both = cross_entropy(logits, target, torch.ones_like(valid))
    assert both.item() == pytest.approx((-math.log(0.75) - math.log(0.5)) / 2)


def test_soft_cross_entropy_by_hand():
    logits = torch.tensor([[0.0, math.log(3)]])
    target = torch.tensor([[0.5, 0.5]])
    expected = -0.5 * (math.log(0.25) + math.log(0.75))
    value = soft_cross_entropy(logits, target, torch.tensor([True]))
    assert value.item() == pytest.approx(expected)


def segments(separation: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Two halves of an image whose embeddings lie `separation` apart."""
    target = torch.zeros(2, 8, 8, dtype=torch.int16)
    target[:, :, 4:] = 7
    prediction = torch.zeros(2, 3, 8, 8)
    prediction[:, 0, :, 4:] = separation
    return prediction, target, torch.ones(2, 8, 8, dtype=torch.bool)


def test_metric_loss_matches_equation_one():
    prediction, target, valid = segments(1.5)
    d = 1.5**2
    sigma = 2 / (1 + math.exp(d))
    together = -math.log(2 / (1 + math.exp(1e-4)))  # distances are at least 1e-4
    expected = 0.5 * (together - math.log(1 - sigma))
    value = metric(prediction, target, valid, torch.Generator().manual_seed(0))
    assert value.item() == pytest.approx(expected, rel=1e-4)


def test_metric_loss_is_finite_for_equal_and_for_distant_embeddings():
    for separation in (0.0, 100.0):
        prediction, target, valid = segments(separation)
        prediction.requires_grad_()
        value = metric(prediction, target, valid, torch.Generator().manual_seed(0))
        value.backward()
        assert torch.isfinite(value)
        assert torch.isfinite(prediction.grad).all()
    assert value.item() == pytest.approx(0, abs=1e-4)


def test_metric_loss_ignores_what_the_ids_are_called():
    prediction, target, valid = segments(1.0)
    renamed = torch.where(target == 7, 3, 9).to(torch.int16)
    first = metric(prediction, target, valid, torch.Generator().manual_seed(2))
    second = metric(prediction, renamed, valid, torch.Generator().manual_seed(2))
    assert first.item() == second.item()


def test_constant_of_l1_is_the_median_and_of_l2_the_mean():
    train = torch.tensor([0.0, 0.0, 9.0]).reshape(3, 1, 1, 1), torch.ones(3, 1, 1).bool()
    val = torch.tensor([3.0]).reshape(1, 1, 1, 1), torch.ones(1, 1, 1).bool()
    assert constant_loss("l1", train, val) == 3  # the median is 0
    assert constant_loss("l2", train, val) == 0  # the mean is 3


def test_constant_knows_the_position_but_not_the_image():
    target = torch.tensor([[[[0.0, 10.0]]]] * 4)
    valid = torch.ones(4, 1, 2).bool()
    assert constant_loss("l1", (target, valid), (target, valid)) == 0


def test_constant_fills_positions_never_seen_with_the_overall_value():
    target = torch.tensor([[[[2.0, 50.0]]]] * 3)
    valid = torch.tensor([[[True, False]]] * 3)
    val = torch.tensor([[[[2.0, 5.0]]]]), torch.ones(1, 1, 2).bool()
    assert constant_loss("l1", (target, valid), val) == 1.5


def test_constant_of_class_maps_is_their_entropy():
    target = torch.arange(1000).reshape(1000, 1, 1) % 2
    valid = torch.ones(1000, 1, 1).bool()
    value = constant_loss("cross_entropy", (target, valid), (target, valid), classes=2)
    assert value == pytest.approx(math.log(2), rel=1e-3)


def test_constant_of_soft_classes_is_the_mean_distribution():
    target = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [0.0, 1.0]])
    valid = torch.ones(4).bool()
    value = constant_loss("soft_cross_entropy", (target, valid), (target, valid))
    assert value == pytest.approx(-(0.25 * math.log(0.25) + 0.75 * math.log(0.75)))


def test_constant_of_the_metric_loss_is_ln_two():
    # sigma = 1/2 at every pair: |p - q|^2 = ln 3 costs ln 2 for pairs of either kind.
    prediction, target, valid = segments(math.sqrt(math.log(3)))
    value = metric(prediction, target, valid, torch.Generator().manual_seed(0)).item()
    apart = 2 * value + math.log(2 / (1 + math.exp(1e-4)))
    assert apart == pytest.approx(math.log(2), rel=1e-3)
    assert constant_loss("metric", (target, valid), (target, valid)) == math.log(2)


def test_channel_statistics_leave_invalid_values_out():
    target = torch.tensor([[[[1.0, 3.0]], [[5.0, 5.0]]], [[[2.0, 99.0]], [[5.0, 99.0]]]])
    valid = torch.tensor([[[True, True]], [[True, False]]])
    mean, scale = channel_statistics(target, valid)
    assert mean.tolist() == [2, 5]
    assert scale.tolist() == pytest.approx([math.sqrt(2 / 3), 1])  # a constant channel keeps 1
    mean, scale = channel_statistics(
        torch.tensor([[1.0], [3.0], [9.0]]), torch.tensor([True] * 2 + [False])
    )
    assert (mean.item(), scale.item()) == (2, 1)


def test_every_loss_of_a_task_exists():
    from taskrsa.tasks.dictionary import TASKS

    assert {task.loss for task in TASKS.values()} <= set(LOSSES)
