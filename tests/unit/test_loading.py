"""Networks of every loader, from a row of a bank: loading, and one-line errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from taskrsa.errors import ConfigError, DataError, TaskrsaError
from taskrsa.networks.extraction import extract
from taskrsa.networks.loading import load_network, tap_network
from taskrsa.networks.preprocessing import input_of
from taskrsa.networks.spec import EncoderSpec
from taskrsa.networks.weights import random_encoder, save_encoder
from torch import nn
from user_networks import IMAGES, row


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refuses(error: type[TaskrsaError], words: str, call) -> None:
    with pytest.raises(error, match=words) as caught:
        call()
    assert "\n" not in str(caught.value)
    assert "bank, row net, " in str(caught.value)


def test_a_state_dict_is_loaded_by_weights_only(folder):
    drawn = load_network(row()).network.state_dict()
    other = {key: value + 1 for key, value in drawn.items()}
    half = {f"module.{key}": value.half() for key, value in other.items()}
    torch.save({"state_dict": half, "epoch": 3}, "a.pth")
    loaded = load_network(row(weights="a.pth")).network.state_dict()
    for key, value in loaded.items():
        assert value.dtype == torch.float32
        torch.testing.assert_close(value, other[key].half().float())
    torch.save(nn.Linear(2, 2), "module.pth")
    refuses(
        DataError, "weights: module.pth cannot be loaded with weights_only=True .it asks for torch",
        lambda: load_network(row(weights="module.pth")),
    )  # fmt: skip
    other["extra.weight"] = other.pop("head.weight")
    torch.save(other, "b.pth")
    refuses(
        DataError, r"does not fit the network: missing head.weight; unexpected extra.weight",
        lambda: load_network(row(weights="b.pth")),
    )  # fmt: skip
    torch.save([1, 2], "c.pth")
    refuses(DataError, "holds no state_dict", lambda: load_network(row(weights="c.pth")))
    refuses(
        DataError, "sha256: a.pth has SHA-256",
        lambda: load_network(row(weights="a.pth", sha256="0" * 64)),
    )  # fmt: skip


def test_drawn_weights_are_the_same_every_time():
    first, second = (load_network(row()).network.state_dict() for _ in range(2))
    assert all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize(
    ("loader", "words"),
    [
        ("no_such_module:make", "there is no module no_such_module"),
        ("user_networks:make", "user_networks has no make"),
        ("user_networks:nn", "user_networks:nn cannot be called"),
        ("user_networks:fails", r"fails .KeyError: 'no such key', user_networks.py line \d"),
        ("user_networks:lazy", "returns a network of lazy modules; run it once"),
        ("user_networks:text", "returns a str, not a torch module"),
    ],
)
def test_what_is_wrong_with_a_function(loader, words):
    refuses(ConfigError, f"row net, loader: .*{words}", lambda: load_network(row(loader)))


def test_an_input_of_other_channels_or_size_is_one_line():
    grey = row(channels="grey")
    refuses(ConfigError, "channels and size: the network fails on", lambda: tap_network(grey, 32))
    small = row("user_networks:Tokens", size="4")
    words = "fails on images of 3 x 4 x 4 .RuntimeError"
    refuses(ConfigError, words, lambda: tap_network(small, 32))


def test_encoders_of_this_project(folder):
    encoder = random_encoder(EncoderSpec(width=4, units=(1, 1, 1, 1)), 0).eval()
    save_encoder("net.safetensors", encoder)
    chosen = row("checkpoint", weights="net.safetensors", layers="block1 late=compressed")
    network, _ = tap_network(chosen, 32)
    taps = extract(network.extractor(), input_of(chosen, False), IMAGES, 2, "net")
    assert list(taps) == ["block1", "late"]
    with torch.inference_mode():
        expected = encoder.features(input_of(chosen, False)(IMAGES))["compressed"]
    np.testing.assert_allclose(
        taps["late"], expected.permute(0, 2, 3, 1).flatten(1).numpy(), atol=1e-5
    )
    _, layers = tap_network(row("checkpoint", weights="net.safetensors"), 32)
    assert list(layers) == ["depth1", "depth2", "depth3", "depth4", "last"]
    lightness = row("checkpoint", weights="net.safetensors", channels="lightness")
    refuses(
        ConfigError, "channels: .* takes 3 channels and lightness has 1",
        lambda: load_network(lightness),
    )  # fmt: skip
    torch.save({"state_dict": {}}, "a.pth")
    refuses(
        ConfigError, "a.pth is not a .safetensors",
        lambda: load_network(row("checkpoint", weights="a.pth")),
    )  # fmt: skip
    refuses(
        DataError, "weights: a.pth: does not fit the encoder: missing",
        lambda: load_network(row("taskonomy", weights="a.pth")),
    )  # fmt: skip
