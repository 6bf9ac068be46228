"""Features of all layers, streamed in batches and kept in memory; and the choice of stimuli."""

from __future__ import annotations

import numpy as np
import pytest
from taskrsa.data.sources import choose
from taskrsa.errors import ConfigError
from taskrsa.networks.encoder import LAYERS, EncoderSpec
from taskrsa.networks.extraction import extract
from taskrsa.networks.layers import Layer
from taskrsa.networks.preprocessing import network_input
from taskrsa.networks.taps import NativeNetwork
from taskrsa.networks.weights import random_encoder
from taskrsa.rsa.spill import SpilledFeatures
from user_networks import row

IMAGES = np.random.default_rng(0).integers(0, 256, (7, 32, 32, 3), dtype=np.uint8)


def features(batch_size: int, precision: str = "no", **options) -> dict[str, np.ndarray]:
    encoder = random_encoder(EncoderSpec(width=4, units=(1, 1, 1, 1)), 0)
    network = NativeNetwork(encoder, row("random", mean="", std=""))
    network.tap({name: Layer(name, "layer") for name in LAYERS})
    return extract(
        network.extractor(precision), network_input, IMAGES, batch_size, "net", **options
    )


def test_every_layer_has_one_row_an_image():
    taps = features(3)
    assert tuple(taps) == LAYERS
    assert all(values.shape[0] == 7 and values.dtype == np.float32 for values in taps.values())
    encoder = random_encoder(EncoderSpec(width=4, units=(1, 1, 1, 1)), 0).eval()
    alone = encoder.features(network_input(IMAGES[5:6]))
    for layer, values in taps.items():
        expected = alone[layer].detach().permute(0, 2, 3, 1).flatten().numpy()
        np.testing.assert_allclose(values[5], expected, atol=1e-5)


def test_only_the_layers_asked_for_are_kept():
    taps = features(3, layers=["compressed", "block2"])
    assert tuple(taps) == ("block2", "compressed")
    np.testing.assert_array_equal(taps["block2"], features(3)["block2"])


def test_large_layers_go_to_a_file_and_come_back():
    held = features(3)
    sizes = {layer: values.nbytes for layer, values in held.items()}
    assert len(set(sizes.values())) > 1
    limit = (sum(sizes.values()) - max(sizes.values())) / 1e6
    taps = features(3, features_mb=limit)
    spilled = [layer for layer, values in taps.items() if isinstance(values, SpilledFeatures)]
    assert sum(sizes[layer] for layer in taps if layer not in spilled) <= limit * 1e6
    assert spilled == [layer for layer in sizes if sizes[layer] == max(sizes.values())][-1:]
    for layer, values in features(3, features_mb=0).items():
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


def test_stimuli_are_sampled_with_a_seed_and_keep_their_order():
    ids = [f"{number:03d}" for number in range(100)]
    sample = choose(ids, 10, "train", np.random.default_rng(1))
    assert sample == sorted(sample) == choose(ids, 10, "train", np.random.default_rng(1))
    assert sample != choose(ids, 10, "train", np.random.default_rng(2))
    assert len(set(sample)) == 10
    assert choose(ids, 5, "train", None) == ids[:5]
    assert choose(ids, None, "train", None) == ids
    with pytest.raises(ConfigError, match="101 images are wanted of split train, which has 100"):
        choose(ids, 101, "train", None)
