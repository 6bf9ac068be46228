"""Features of all layers, streamed in batches and kept in memory; and the choice of stimuli."""

import copy

import numpy as np
import pytest
import torch
from taskrsa.data.stimuli import choose
from taskrsa.errors import ConfigError, RepresentationError
from taskrsa.networks.encoder import LAYERS, EncoderSpec
from taskrsa.networks.extraction import extract, fused
from taskrsa.networks.preprocessing import network_input
from taskrsa.networks.spec import SmallSpec
from taskrsa.networks.weights import random_encoder
from taskrsa.rsa.spill import SpilledFeatures
from torch import nn
from torch.nn import functional as F

IMAGES = np.random.default_rng(0).integers(0, 256, (7, 32, 32, 3), dtype=np.uint8)


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


def features(batch_size: int, **options) -> dict[str, np.ndarray]:
    return extract(tiny(), network_input, IMAGES, batch_size, "net", **options)


@torch.inference_mode()
def plainly(encoder: nn.Module, images: torch.Tensor) -> dict[str, np.ndarray]:
    """Return the taps as the network itself makes them, in the order of rows, columns, channels."""
    taps = encoder.features(images)
    return {layer: v.permute(0, 2, 3, 1).flatten(1).numpy() for layer, v in taps.items()}


def test_every_layer_has_one_row_an_image():
    taps = features(3)
    assert tuple(taps) == LAYERS
    assert all(values.shape[0] == 7 and values.dtype == np.float32 for values in taps.values())
    alone = plainly(tiny(), network_input(IMAGES[5:6]))
    for layer, values in taps.items():
        np.testing.assert_allclose(values[5], alone[layer][0], atol=1e-5)


ENCODERS = {
    "one unit": tiny(),
    "several units": tiny(units=(3, 2, 1, 2), strides=(2, 2, 1, 1)),
    "group norm": tiny(group_norm=True),
    "small": random_encoder(SmallSpec(), 3).eval(),
}


@pytest.mark.parametrize("encoder", ENCODERS.values(), ids=ENCODERS)
def test_a_fused_network_computes_the_same(encoder):
    network = fused(copy.deepcopy(encoder)).to(memory_format=torch.channels_last)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    for n in (4, 1, 4):  # weights are laid out for the first batch and serve the others
        images = network_input(IMAGES[:n])
        expected = plainly(encoder, images)
        with torch.inference_mode():
            taps = network(images)
        assert tuple(taps) == tuple(expected)
        for layer, values in taps.items():
            found = values.permute(0, 2, 3, 1).flatten(1).numpy()
            # Group norm divides by the deviation of four positions, rounding and all.
            loose = getattr(encoder.spec, "group_norm", False)
            error = (1e-4 if loose else 1e-5) * np.abs(expected[layer]).max()
            np.testing.assert_allclose(found, expected[layer], atol=error, err_msg=layer)


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


@pytest.mark.parametrize("encoder", [*ENCODERS.values(), Odd().eval()], ids=[*ENCODERS, "odd"])
def test_extraction_leaves_the_network_as_it_was(encoder):
    before = copy.deepcopy(encoder.state_dict())
    extract(encoder, network_input, IMAGES, 3, "net", precision="bf16")
    assert list(encoder.state_dict()) == list(before)
    for key, value in encoder.state_dict().items():
        torch.testing.assert_close(value, before[key], rtol=0, atol=0)


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
    encoder = kind().eval().requires_grad_(False)
    expected = plainly(encoder, network_input(IMAGES))
    taps = extract(encoder, network_input, IMAGES, 4, "net")
    assert tuple(taps) == tuple(expected)
    for layer, values in taps.items():
        np.testing.assert_allclose(values, expected[layer], atol=1e-5, err_msg=layer)


def test_only_the_layers_asked_for_are_kept():
    taps = features(3, layers=["compressed", "block2"])
    assert tuple(taps) == ("block2", "compressed")
    np.testing.assert_array_equal(taps["block2"], features(3)["block2"])
    with pytest.raises(RepresentationError, match="net: no layer block7; it has block1, block2"):
        features(3, layers=["block7"])


def test_large_layers_go_to_a_file_and_come_back():
    held = features(3)
    sizes = {layer: values.nbytes for layer, values in held.items()}
    assert len(set(sizes.values())) > 1
    limit = (sum(sizes.values()) - max(sizes.values())) / 1e6
    taps = features(3, features_mb=limit)
    spilled = [layer for layer, values in taps.items() if isinstance(values, SpilledFeatures)]
    assert sum(sizes[layer] for layer in taps if layer not in spilled) <= limit * 1e6
    assert spilled == [layer for layer in sizes if sizes[layer] == max(sizes.values())][-1:]
    for layer, values in extract(
        fused(tiny()), network_input, IMAGES, 3, "net", features_mb=0
    ).items():
        assert isinstance(values, SpilledFeatures)
        np.testing.assert_array_equal(np.asarray(values), held[layer])


def test_half_precision_is_rounding_away():
    exact, half = features(7), features(7, precision="bf16")
    for layer, values in half.items():
        assert values.dtype == np.float32
        difference = np.abs(values - exact[layer]).max() / np.abs(exact[layer]).max()
        assert 1e-4 < difference < 0.1, layer


def test_batch_size_changes_nothing():
    for one, other in zip(features(1).values(), features(7).values(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_a_network_in_training_mode_is_refused():
    encoder = random_encoder(EncoderSpec(width=4, units=(1, 1, 1, 1)), 0).train()
    with pytest.raises(RepresentationError, match="net: is in training mode"):
        extract(encoder, network_input, IMAGES, 4, "net")


def test_stimuli_are_sampled_with_a_seed_and_keep_their_order():
    ids = [f"{number:03d}" for number in range(100)]
    sample = choose(ids, 10, "train", np.random.default_rng(1))
    assert sample == sorted(sample) == choose(ids, 10, "train", np.random.default_rng(1))
    assert sample != choose(ids, 10, "train", np.random.default_rng(2))
    assert len(set(sample)) == 10
    assert choose(ids, 5, "train", None) == ids[:5]
    assert choose(ids, None, "train", None) == ids
    with pytest.raises(ConfigError, match="101 images asked of split train, which has 100"):
        choose(ids, 101, "train", None)
