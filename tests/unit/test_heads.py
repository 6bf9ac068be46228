"""Heads: how far the dense one sees, and that of whole images."""

from __future__ import annotations

import pytest
import torch
from small_targets import HEAD, network_of
from taskrsa.networks.heads import ImageHead
from taskrsa.networks.spec import SmallSpec
from taskrsa.recipes import HeadConfig


def reach(head: HeadConfig) -> list[list[int]]:
    """Return the first and last row and column of an image on which its middle's scores depend."""
    net = network_of(spec=SmallSpec(width=4, reduction=1), head=head).eval()
    image = torch.randn(1, 3, 41, 41, generator=torch.Generator().manual_seed(0))
    image.requires_grad_(True)
    net(image)[0, :, 20, 20].sum().backward()
    seen = image.grad.abs().sum(1)[0].nonzero()
    return [seen.min(0).values.tolist(), seen.max(0).values.tolist()]


@pytest.mark.parametrize(
    ("rates", "pooling", "expected"),
    [
        # The encoder's four convolutions of 3 x 3 reach 4 pixels, the atrous one as many as its
        # rate.
        ((), False, [[16, 16], [24, 24]]),
        ((5,), False, [[11, 11], [29, 29]]),
        ((2, 9), False, [[7, 7], [33, 33]]),
        ((), True, [[0, 0], [40, 40]]),
    ],
)
def test_the_head_sees_as_far_as_its_rates(rates, pooling, expected):
    assert reach(HeadConfig(width=16, rates=rates, image_pooling=pooling)) == expected


def test_a_whole_image_is_the_mean_of_its_positions():
    torch.manual_seed(0)
    head = ImageHead(3, 2, HEAD).eval()
    features = torch.rand(4, 3, 5, 6)
    assert torch.allclose(head(features), head.linear(features.mean((2, 3))))
    assert torch.allclose(head(features), head(features.flip(2)), atol=1e-6)
