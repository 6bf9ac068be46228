"""TorchScript networks: traced, scripted and frozen modules are compared, their head is trained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from taskrsa.errors import ConfigError, DataError
from taskrsa.networks.extraction import extract
from taskrsa.networks.loading import load_network, tap_network
from taskrsa.networks.preprocessing import input_of
from taskrsa.networks.target import target_network
from taskrsa.recipes import HeadConfig
from torch import nn
from user_networks import IMAGES, row


class Plain(nn.Module):
    """Works in place, so that a value is another one later."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.body = nn.Conv2d(8, 8, 3, padding=1)
        self.head = nn.Linear(8, 4)

    def forward(self, x):
        x = self.relu(self.body(self.relu(self.stem(x))))
        return self.head(x.mean((2, 3)))


def traced(plain: nn.Module) -> torch.jit.ScriptModule:
    return torch.jit.trace(plain, torch.rand(2, 3, 32, 32))


WAYS = {
    "traced": traced,
    "scripted": torch.jit.script,
    "frozen": lambda plain: torch.jit.freeze(traced(plain)),
    "frozen script": lambda plain: torch.jit.freeze(torch.jit.script(plain)),
}


def plain() -> Plain:
    torch.manual_seed(0)
    return Plain().eval()


def in_memory() -> torch.jit.ScriptModule:
    return traced(plain())


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("way", WAYS)
def test_a_network_is_compared_and_its_head_is_trained(way):
    torch.jit.save(WAYS[way](plain()), "net.pt")
    chosen = row("torchscript", weights="net.pt")
    network, layers = tap_network(chosen, 32)
    assert len(layers) > 2
    taps = extract(network.extractor(), input_of(chosen, False), IMAGES, 2, "net")
    images, modules = input_of(chosen, False)(IMAGES), plain()
    with torch.inference_mode():
        stem = modules.stem(images)
        body = modules.body(stem.relu()).relu()
    first = {values.shape for values in taps.values()}
    assert (5, 8 * 32 * 32) in first
    np.testing.assert_allclose(taps["last"], body.mean((2, 3)).numpy(), atol=1e-5)
    before = body.permute(0, 2, 3, 1).flatten(1).numpy()
    assert any(v.shape == before.shape and np.allclose(v, before, atol=1e-4) for v in taps.values())
    # Before what works in place, as it was then.
    unrectified = stem.permute(0, 2, 3, 1).flatten(1).numpy()
    assert any(
        v.shape == before.shape and np.allclose(v, unrectified, atol=1e-4) for v in taps.values()
    )
    for kind, names in (("classification", ["a", "b"]), ("segmentation", ["a", "b"])):
        tuned = target_network(load_network(chosen), "block4", kind, names, HeadConfig(), 32, 0)
        assert tuned.trained == "head only"
        tuned(torch.rand(2, 3, 32, 32)).sum().backward()
        assert any(p.grad is not None for p in tuned.head.parameters())


def test_a_function_may_return_one():
    _, layers = tap_network(row("test_script_network:in_memory"), 32)
    assert "last" in layers
    torch.save(plain().state_dict(), "net.pth")
    with pytest.raises(ConfigError, match="weights: .* returns a TorchScript network, which has"):
        load_network(row("test_script_network:in_memory", weights="net.pth"))


class Around(nn.Module):
    """A module of PyTorch with one of TorchScript inside, which takes no hooks."""

    def __init__(self):
        super().__init__()
        self.before = nn.Conv2d(3, 3, 1)
        self.inside = torch.jit.freeze(traced(plain()))
        self.after = nn.Sequential(nn.Linear(4, 12), nn.ReLU())
        self.head = nn.Linear(12, 3)

    def forward(self, x):
        return self.head(self.after(self.inside(self.before(x))))


def test_one_may_be_part_of_another_network():
    chosen = row("test_script_network:Around")
    network, layers = tap_network(chosen, 32)
    assert [layer.name for layer in layers.values()] == ["before", "after.0", "after"]
    taps = extract(network.extractor(), input_of(chosen, False), IMAGES, 2, "net")
    assert taps["last"].shape == (5, 12)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"<html>404</html>", "net.pt is a web page"),
        (b"PK\x03\x04half", "net.pt is cut off or damaged"),
        (None, "net.pt holds no TorchScript network; write it with torch.jit.save"),
    ],
)
def test_what_holds_no_network_is_one_line(folder, content, words):
    torch.save(plain().state_dict(), "net.pt")
    if content is not None:
        (folder / "net.pt").write_bytes(content)
    with pytest.raises(DataError, match=words) as caught:
        load_network(row("torchscript", weights="net.pt"))
    assert "\n" not in str(caught.value)


def test_a_torchscript_file_in_the_place_of_a_state_dict_says_so():
    torch.jit.save(traced(plain()), "net.pt")
    with pytest.raises(DataError, match="which holds a network: set loader to torchscript"):
        load_network(row("test_script_network:plain", weights="net.pt"))
