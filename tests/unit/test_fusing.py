"""Networks rewritten for extraction compute the same."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from taskrsa.networks.fusing import fused
from taskrsa.networks.preprocessing import network_input
from taskrsa.networks.spec import EncoderSpec, SmallSpec
from taskrsa.networks.weights import random_encoder
from torch import Tensor, nn
from torch.nn import functional as F

IMAGES = np.random.default_rng(0).integers(0, 256, (7, 32, 32, 3), dtype=np.uint8)


class Taps(nn.Module):
    """A network whose forward pass returns the features of all taps."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return self.encoder.features(images)


def tiny(**size) -> nn.Module:
    """Return an encoder whose batch normalisations hold statistics, as after a training."""
    encoder = random_encoder(EncoderSpec(**{"width": 4, "units": (1, 1, 1, 1)} | size), 0)
    generator = torch.Generator().manual_seed(1)
    for module in encoder.modules():
        if isinstance(module, nn.BatchNorm2d):
            for values, low, high in (
                (module.running_mean, -0.3, 0.3),
                (module.running_var, 0.5, 2),
                (module.weight.data, 0.5, 1.5),
                (module.bias.data, -0.2, 0.2),
            ):
                values.uniform_(low, high, generator=generator)
    return encoder.eval()


ENCODERS = {
    "one unit": tiny(),
    "several units": tiny(units=(3, 2, 1, 2), strides=(2, 2, 1, 1)),
    "small": random_encoder(SmallSpec(), 3).eval(),
}


@torch.inference_mode()
def check(encoder: nn.Module, loose: float = 1e-5) -> nn.Module:
    """Compare a rewritten copy of an encoder with the encoder; return the copy."""
    network = fused(Taps(copy.deepcopy(encoder))).to(memory_format=torch.channels_last)
    for n in (4, 1, 4):  # weights are laid out for the first batch and serve the others
        images = network_input(IMAGES[:n])
        expected = encoder.features(images)
        taps = network(images)
        assert tuple(taps) == tuple(expected)
        for layer, values in expected.items():
            error = loose * values.abs().max().item()
            torch.testing.assert_close(taps[layer], values, atol=error, rtol=0, msg=layer)
    return network


@pytest.mark.parametrize("name", ENCODERS)
def test_a_fused_network_computes_the_same(name):
    # Group norm divides by the deviation of four positions, rounding and all.
    network = check(ENCODERS[name], 1e-4 if name == "group norm" else 1e-5)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in network.modules())


class Odd(nn.Module):
    """What the encoders here do not do: a shared convolution, a norm of its own, text padding."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, padding="same")
        self.shared = nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect")
        self.norm, self.other = nn.BatchNorm2d(4), nn.BatchNorm2d(4)

    def features(self, images):
        x = self.first(images)
        y = F.relu(self.other(x) + self.shared(x))
        z = self.shared(F.relu(y) - 1)
        return {"x": x, "y": y, "z": F.relu(self.norm(z) + y), "w": F.relu(z)}


class Choosing(nn.Module):
    """A network whose path hangs on its input."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3)

    def features(self, images):
        x = self.first(images)
        return {"x": F.relu(x) if x.mean() > 0 else x}


@pytest.mark.parametrize("kind", [Odd, Choosing])
def test_networks_of_other_shapes_compute_the_same(kind):
    torch.manual_seed(0)
    check(kind().eval().requires_grad_(False))
