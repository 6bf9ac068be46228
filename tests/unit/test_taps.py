"""Networks tapped at their layers: which layers there are, and what comes out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from taskrsa.errors import ConfigError, RepresentationError
from taskrsa.networks.extraction import extract
from taskrsa.networks.loading import layers_of, load_network, tap_network
from taskrsa.networks.network import Network
from taskrsa.networks.preprocessing import input_of
from taskrsa.networks.spec import EncoderSpec
from taskrsa.networks.taps import NativeNetwork
from taskrsa.networks.weights import random_encoder
from taskrsa.rsa.rdm import compute_rdm
from user_networks import IMAGES, row


def features(chosen: Network, **options) -> dict[str, np.ndarray]:
    network, _ = tap_network(chosen, 32)
    run = network.extractor(**options)
    return extract(run, input_of(network.row, False), IMAGES, 2, "net")


def test_features_are_what_the_modules_put_out():
    chosen = row(layers="stem layer1.0.conv2 drop")
    taps = features(chosen)
    net = load_network(chosen).network
    shown = input_of(chosen, False)(IMAGES)
    with torch.inference_mode():
        stem = net.stem(shown)
        x = net.layer1[0].conv1(stem).relu()
        conv2 = net.layer1[0].conv2(x)  # before the sum and the ReLU in place
        pooled = net.pool(net.layer2(net.layer1(stem))).flatten(1)
    assert list(taps) == ["stem", "layer1.0.conv2", "drop"]
    for layer, values in (("stem", stem), ("layer1.0.conv2", conv2)):
        expected = values.permute(0, 2, 3, 1).flatten(1).numpy()
        np.testing.assert_allclose(taps[layer], expected, atol=1e-6)
    np.testing.assert_allclose(taps["drop"], pooled.numpy(), atol=1e-6)


@pytest.mark.parametrize("images_first", ["true", "false"])
def test_tokens_and_packed_outputs(images_first):
    chosen = row(
        "user_networks:Tokens",
        layers="blocks.layers.* pack",
        arguments=f'{{"images_first": {images_first}}}',
    )
    taps = features(chosen)
    assert {"blocks.layers.0", "blocks.layers.2.linear2", "pack"} <= set(taps)
    net = load_network(chosen).network
    with torch.inference_mode():
        x = net.patch(input_of(chosen, False)(IMAGES)).flatten(2).permute(2, 0, 1)
        first = net.blocks.layers[0](x.transpose(0, 1) if images_first == "true" else x)
        first = first if images_first == "true" else first.transpose(0, 1)
    assert first.shape == (5, 16, 16)  # images, tokens, channels
    np.testing.assert_allclose(
        taps["blocks.layers.0"], first.flatten(1).numpy(), atol=1e-5, rtol=1e-4
    )
    np.testing.assert_array_equal(taps["pack"], taps["blocks.layers.2"])


def test_half_precision_by_autocast_is_rounding_away():
    chosen = row(layers="stem layer2 drop")
    exact, half = features(chosen), features(chosen, precision="bf16")
    for layer, values in half.items():
        assert values.dtype == np.float32
        difference = np.abs(values - exact[layer]).max() / np.abs(exact[layer]).max()
        assert 1e-4 < difference < 0.1, layer


def test_an_encoder_of_this_project_is_rewritten_for_extraction():
    encoder = random_encoder(EncoderSpec(width=4, units=(1, 1, 1, 1)), 0).eval()
    chosen = row("random", mean="", std="", layers="block1 late=compressed")
    network = NativeNetwork(encoder, chosen)
    layers = {layer.name: layer for layer in layers_of(network, 32)}
    assert layers["block1"].shape == (16, 4, 4)
    network.tap({"block1": layers["block1"], "late": layers["compressed"]})
    images = input_of(chosen, False)(IMAGES)
    with torch.inference_mode():
        expected = encoder.features(images)
        assert torch.equal(network(images)["late"], expected["compressed"])
        found = network.extractor()(images)
    assert list(found) == ["block1", "late"]
    torch.testing.assert_close(found["block1"], expected["block1"], atol=1e-5, rtol=1e-4)


def test_auto_takes_blocks_evenly_and_the_last_before_the_head():
    _, chosen = tap_network(row(), 32)
    # On the trunk: the stem, five blocks of which two end a stage, and the pool, of which drop is a
    # view.
    assert {name: layer.name for name, layer in chosen.items()} == {
        "depth1": "layer1.0",
        "depth2": "layer1",
        "depth3": "layer2.0",
        "depth4": "layer2.1",
        "depth5": "layer2",
        "last": "pool",
    }
    _, chosen = tap_network(row(arguments='{"blocks": [1, 0]}'), 32)
    # Three alone, so the block is opened; nothing inside is on the trunk.
    assert next(layer.name for layer in chosen.values()) == "stem"
    assert list(chosen)[-1] == "last"
    _, chosen = tap_network(row("user_networks:Tokens"), 32)
    assert chosen["last"].name == "blocks"
    assert "blocks.layers.0" in {layer.name for layer in chosen.values()}


def test_layers_say_why_they_cannot_be_used():
    chosen = row()
    found = {layer.name: layer for layer in layers_of(load_network(chosen), 32)}
    assert found["layer1.0.relu"].fault == "is called 2 times for one image"
    assert found["unused"].fault == "is never reached"
    assert found["layer2"].shape == (4, 16, 16)
    with pytest.raises(ConfigError, match="row net, layers: unused cannot be used"):
        tap_network(row(layers="unused"), 32)


def test_a_module_that_some_images_do_not_reach():
    chosen = row("user_networks:Fickle", layers="bright")
    network, _ = tap_network(chosen, 32)
    dark = np.zeros_like(IMAGES)
    words = "row net, layers: module bright is not reached by these images"
    with pytest.raises(RepresentationError, match=words):
        extract(network.extractor(), input_of(chosen, False), dark, 2, "net")


def test_features_that_are_not_finite_name_network_and_layer():
    taps = features(row("user_networks:Overflow", layers="scale"))
    with pytest.raises(RepresentationError, match=r"net, scale: (infinite|NaN) features"):
        compute_rdm(taps["scale"], name="net, scale")
