"""The training loop: it learns, repeats itself, and says when it cannot."""

from functools import partial

import numpy as np
import pytest
import torch
from taskrsa.errors import ConfigError, DataError
from taskrsa.networks.decoders import DenseDecoder, VectorDecoder
from taskrsa.networks.encoder import EncoderSpec
from taskrsa.networks.preprocessing import network_input
from taskrsa.networks.weights import random_encoder
from taskrsa.recipes import TrainConfig
from taskrsa.training.loop import LabelledImages, scaled, train
from taskrsa.training.losses import constant_loss
from torch import nn

SPEC = EncoderSpec(width=4, units=(1, 1, 1, 1), strides=(1, 1, 1, 1))
RECIPE = TrainConfig(steps=120, batch_size=8, eval_every=30, precision="no", device="cpu")


def brightness_images(n: int, seed: int) -> LabelledImages:
    """Grey images whose label map is their brightness."""
    rng = np.random.default_rng(seed)
    grey = rng.integers(0, 256, n)
    images = np.tile(grey[:, None, None, None], (1, 32, 32, 3)).astype(np.uint8)
    targets = np.tile((grey / 255)[:, None, None, None], (1, 1, 16, 16)).astype(np.float16)
    to_input = partial(network_input, clip=False)
    return LabelledImages(images, targets, np.ones((n, 16, 16), bool), to_input)


def network(seed: int = 0):
    encoder = random_encoder(SPEC, seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(encoder, DenseDecoder(8, 8, 1, 16, width=8))


def test_a_network_learns_and_beats_the_constant():
    images, val = brightness_images(64, 0), brightness_images(16, 1)
    trained, curve, val_loss = train(network(), "l1", images, val, RECIPE, seed=0)
    constant = constant_loss(
        "l1",
        (torch.from_numpy(images.targets), torch.from_numpy(images.valid)),
        (torch.from_numpy(val.targets), torch.from_numpy(val.valid)),
    )
    assert val_loss < 0.5 * constant
    assert [row["step"] for row in curve] == [30, 60, 90, 120]
    assert val_loss == min(row["val_loss"] for row in curve)
    assert not trained.training


def test_the_same_seed_gives_the_same_weights():
    images = brightness_images(32, 0)
    recipe = TrainConfig(steps=5, batch_size=8, eval_every=5, precision="no", device="cpu")
    first = train(network(), "l1", images, images, recipe, seed=3)[0].state_dict()
    second = train(network(), "l1", images, images, recipe, seed=3)[0].state_dict()
    other = train(network(), "l1", images, images, recipe, seed=4)[0].state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)


def test_the_best_weights_are_kept_or_the_last():
    images, val = brightness_images(32, 0), brightness_images(8, 1)
    for keep in ("best", "last"):
        recipe = TrainConfig(
            steps=30, batch_size=8, eval_every=3, keep=keep, precision="no", device="cpu"
        )
        _, curve, val_loss = train(network(), "l1", images, val, recipe, seed=0)
        losses = [row["val_loss"] for row in curve]
        assert val_loss == (min(losses) if keep == "best" else losses[-1])


def test_a_diverging_loss_is_an_error():
    images = brightness_images(32, 0)
    images.targets = images.targets * np.float16(np.inf)
    with pytest.raises(DataError, match=r"the loss is .* at step 1; lower learning_rate"):
        train(network(), "l1", images, images, RECIPE, seed=0)


def test_bad_data_are_named():
    with pytest.raises(ConfigError, match="label_size: 24 must be the bottleneck's size 8 times"):
        DenseDecoder(8, 8, 1, 24)
    images = brightness_images(4, 0)
    with pytest.raises(DataError, match="no image to train on"):
        LabelledImages(images.images[:0], images.targets[:0], images.valid[:0], images.to_input)


def test_steps_scale_with_the_task():
    assert scaled(TrainConfig(steps=300), 2.5).steps == 750
    assert scaled(TrainConfig(steps=1), 0.1).steps == 1


def test_decoders_have_the_label_s_shape():
    code = torch.zeros(2, 8, 8, 8)
    assert DenseDecoder(8, 8, 5, 32)(code).shape == (2, 5, 32, 32)
    assert DenseDecoder(8, 8, 5, 8)(code).shape == (2, 5, 8, 8)
    assert VectorDecoder(8, 8, 9)(code).shape == (2, 9)
