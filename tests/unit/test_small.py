"""Small models: the paper's shapes, the bank's bottleneck, loading, and stages of a training."""

from functools import partial

import numpy as np
import pytest
import torch
from taskrsa.errors import ConfigError
from taskrsa.networks.decoders import SmallDecoder
from taskrsa.networks.encoder import SmallEncoder
from taskrsa.networks.preprocessing import network_input
from taskrsa.networks.spec import EncoderSpec, SmallSpec, encoder_spec
from taskrsa.networks.weights import load_encoder, random_encoder, save_encoder
from taskrsa.recipes import TrainConfig
from taskrsa.training.loop import LabelledImages, train
from torch import nn


def test_at_the_papers_size_four_strided_convolutions_give_the_banks_code():
    encoder = SmallEncoder().eval()
    convolutions = [module for module in encoder.modules() if isinstance(module, nn.Conv2d)]
    assert [convolution.stride for convolution in convolutions] == [(2, 2)] * 4
    with torch.no_grad():
        taps = encoder.features(torch.zeros(2, 3, 256, 256))
    assert {name: tap.shape for name, tap in taps.items()} == {"compressed": (2, 8, 16, 16)}
    decoder = SmallDecoder(8, 16, 3, 256)
    assert sum(isinstance(module, nn.Conv2d) for module in decoder.modules()) == 4
    assert decoder(taps["compressed"]).shape == (2, 3, 256, 256)


@pytest.mark.parametrize("strides", [(1, 1, 1, 1), (2, 1, 1, 1), (2, 2, 1, 1)])
def test_a_smaller_reduction_gives_the_code_of_a_smaller_bank(strides):
    bank = random_encoder(EncoderSpec(width=4, units=(1, 1, 1, 1), strides=strides), 0).eval()
    small = random_encoder(SmallSpec(width=4, reduction=bank.spec.reduction), 0).eval()
    images = torch.zeros(1, 3, 64, 64)
    assert small(images).shape == bank(images).shape
    size = small.spec.bottleneck_size(64)
    assert SmallDecoder(8, size, 2, 32)(small(images)).shape == (1, 2, 32, 32)


def test_a_saved_small_model_comes_back_as_one(tmp_path):
    spec = encoder_spec({"family": "small", "width": 4, "reduction": 8}, input_channels=1)
    encoder = random_encoder(spec, 1)
    save_encoder(tmp_path / "weights.safetensors", encoder)
    loaded = load_encoder(tmp_path / "weights.safetensors")
    assert isinstance(loaded, SmallEncoder)
    assert loaded.spec == spec
    assert all(
        torch.equal(value, loaded.state_dict()[key]) for key, value in encoder.state_dict().items()
    )
    assert isinstance(encoder_spec({"width": 8}), EncoderSpec)


def test_label_maps_that_do_not_fit_are_refused():
    for size in (24, 512):
        with pytest.raises(
            ConfigError, match=f"label_size: {size} must be the bottleneck's size 16"
        ):
            SmallDecoder(8, 16, 1, size)


def test_stages_are_the_network_as_it_was(tmp_path):
    rng = np.random.default_rng(0)
    images = LabelledImages(
        rng.integers(0, 256, (16, 32, 32, 3)).astype(np.uint8),
        rng.random((16, 1, 16, 16)).astype(np.float16),
        np.ones((16, 16, 16), bool),
        partial(network_input, clip=False),
    )

    def run(steps: int, after_step=None):
        encoder = random_encoder(SmallSpec(width=4, reduction=4), 0)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            network = nn.Sequential(encoder, SmallDecoder(8, 8, 1, 16, width=4))
        recipe = TrainConfig(
            steps=steps, batch_size=4, eval_every=2, keep="last", precision="no", device="cpu"
        )
        return train(network, "l1", images, images, recipe, 0, after_step)[0][0].state_dict()

    kept = {}

    def keep(step, network):
        kept[step] = {key: value.clone() for key, value in network[0].state_dict().items()}

    watched, alone = run(6, keep), run(6)
    assert list(kept) == [0, 1, 2, 3, 4, 5, 6]
    untrained = random_encoder(SmallSpec(width=4, reduction=4), 0).state_dict()
    assert all(torch.equal(kept[0][key], untrained[key]) for key in untrained)
    assert all(torch.equal(kept[6][key], watched[key]) for key in watched)
    assert all(torch.equal(alone[key], watched[key]) for key in watched)
    weight = "convolutions.0.0.weight"
    assert not torch.equal(kept[1][weight], kept[2][weight])
