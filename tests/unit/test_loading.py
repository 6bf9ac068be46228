"""Networks of every loader, from a row of a bank: loading, and one-line errors."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from taskrsa.errors import ConfigError, DataError, TaskrsaError
from taskrsa.networks.extraction import extract
from taskrsa.networks.loading import load_network, tap_network
from taskrsa.networks.optional import optional_package
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
        DataError, "weights: module.pth: it asks for torch.nn.modules.linear.Linear, which",
        lambda: load_network(row(weights="module.pth")),
    )  # fmt: skip
    other["stem.extra"] = other.pop("stem.weight")
    torch.save(other, "b.pth")
    refuses(
        DataError, r"does not fit the network: missing stem.weight; unexpected stem.extra",
        lambda: load_network(row(weights="b.pth")),
    )  # fmt: skip
    torch.save([1, 2], "c.pth")
    words = "c.pth holds no weights, but a list; save"
    refuses(DataError, words, lambda: load_network(row(weights="c.pth")))
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
        ("user_networks:text", "returns str, not a torch module"),
    ],
)
def test_what_is_wrong_with_a_function(loader, words):
    refuses(ConfigError, f"row net, loader: .*{words}", lambda: load_network(row(loader)))


LIBRARY = {"mean": "", "std": "", "channels": ""}


@pytest.mark.parametrize(
    ("loader", "off", "size", "mean", "interpolation"),
    [
        ("timm:resnet10t", "pretrained", 176, (0.485, 0.456, 0.406), "bicubic"),
        ("timm:vit_tiny_patch16_224", "pretrained", 224, (0.5, 0.5, 0.5), "bicubic"),
        ("torchvision:resnet18", "weights", 224, (0.485, 0.456, 0.406), "bilinear"),
    ],
)
def test_a_library_s_network_is_shown_images_as_it_says(
    capsys, loader, off, size, mean, interpolation
):
    arguments = json.dumps({off: False if off == "pretrained" else None})
    network, layers = tap_network(row(loader, arguments=arguments, **LIBRARY), 32)
    shown = network.row
    assert (shown.size, shown.mean, shown.interpolation) == (size, mean, interpolation)
    assert input_of(shown, False)(IMAGES).shape == (5, 3, size, size)
    assert f"net: images at {size} pixels, {interpolation}, mean {mean[0]:g}" in (
        capsys.readouterr().out
    )
    assert list(layers) == ["depth1", "depth2", "depth3", "depth4", "depth5", "last"]
    cells = {"mean": "0.1", "std": "0.2", "channels": "bgr", "size": str(size // 2 * 2)}
    own = load_network(row(loader, arguments=arguments, **cells)).row
    assert (own.mean, own.std, own.channels) == ((0.1,) * 3, (0.2,) * 3, "bgr")


def test_a_library_s_network_with_weights_of_a_file(folder):
    chosen = row("timm:resnet10t", arguments='{"num_classes": 3}', weights="resnet.pth", **LIBRARY)
    made = optional_package("timm", chosen).create_model("resnet10t", num_classes=3)
    torch.save(made.state_dict(), "resnet.pth")
    loaded = load_network(chosen).network.state_dict()
    assert all(torch.equal(value, loaded[key]) for key, value in made.state_dict().items())


def test_what_a_library_does_not_know_is_one_line():
    off = '{"pretrained": false}'
    refuses(
        ConfigError, "loader: timm:no_such_model fails .RuntimeError: Unknown model",
        lambda: load_network(row("timm:no_such_model", arguments=off)),
    )  # fmt: skip
    grey = row("timm:resnet10t", arguments=off, **LIBRARY | {"channels": "grey"})
    refuses(
        ConfigError, "mean: timm gives 3 numbers for the 1 channels of grey; fill it in",
        lambda: load_network(grey),
    )  # fmt: skip


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
