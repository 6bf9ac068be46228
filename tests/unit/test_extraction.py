"""Features of all layers, streamed in batches and kept in memory; and the choice of stimuli."""

import numpy as np
import pytest
import torch
from taskrsa.data.stimuli import choose
from taskrsa.errors import ConfigError, RepresentationError
from taskrsa.extraction import extract
from taskrsa.models.encoder import LAYERS, EncoderSpec
from taskrsa.models.weights import random_encoder
from taskrsa.preprocessing import network_input

IMAGES = np.random.default_rng(0).integers(0, 256, (7, 32, 32, 3), dtype=np.uint8)


def features(batch_size: int) -> dict[str, np.ndarray]:
    encoder = random_encoder(EncoderSpec(width=4, units=(1, 1, 1, 1)), 0).eval()
    return extract(encoder, network_input, IMAGES, batch_size, "net")


def test_every_layer_has_one_row_an_image():
    taps = features(3)
    assert tuple(taps) == LAYERS
    assert all(values.shape[0] == 7 and values.dtype == np.float32 for values in taps.values())
    encoder = random_encoder(EncoderSpec(width=4, units=(1, 1, 1, 1)), 0).eval()
    with torch.inference_mode():
        alone = encoder.features(network_input(IMAGES[5:6]))["block2"].flatten().numpy()
    np.testing.assert_allclose(taps["block2"][5], alone, atol=1e-5)


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
