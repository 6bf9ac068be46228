"""Networks with new heads: of this project or a user's, their files, what they refuse."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from small_targets import BANK, HEAD, KINDS, SIDE, SMALL, halves, network_of, with_
from taskrsa.errors import ConfigError, DataError
from taskrsa.networks.loading import load_network
from taskrsa.networks.maps import as_map
from taskrsa.networks.network import Network
from taskrsa.networks.spec import SmallSpec
from taskrsa.networks.target import (
    encoder_bytes,
    load_target,
    target_bytes,
    target_header,
    target_network,
    untrained,
)
from taskrsa.networks.weights import load_encoder, random_encoder
from taskrsa.recipes import HeadConfig
from torch import nn
from torch.nn import functional as F


class ConvNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU(),
            nn.Conv2d(8, 12, 3, stride=2, padding=1), nn.ReLU(),
        )  # fmt: skip
        self.last = nn.Conv2d(12, 12, 1)
        self.head = nn.Linear(12, 5)

    def forward(self, x):
        x = self.body(x)
        # `view` needs the layout that the network was written for.
        x = x.view(len(x), -1).view(x.shape)
        return self.head(self.last(x).mean((2, 3)))


class Tokens(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Conv2d(3, 8, 4, stride=4)
        self.block = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.head = nn.Linear(8, 5)

    def forward(self, x):
        return self.head(self.block(self.embed(x).flatten(2).transpose(1, 2)).mean(1))


class Vectors(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(3 * SIDE * SIDE, 6)
        self.head = nn.Linear(6, 2)

    def forward(self, x):
        return self.head(self.first(x.flatten(1)))


@pytest.fixture
def made(monkeypatch):
    """Return a function that gives the row of a user's network, by the name of its class."""
    import sys
    import types

    module = types.ModuleType("nets_of_a_user")
    module.ConvNet, module.Tokens, module.Vectors = ConvNet, Tokens, Vectors
    monkeypatch.setitem(sys.modules, "nets_of_a_user", module)
    return lambda name, size=SIDE: Network("net", "net", "", f"nets_of_a_user:{name}", size=size)


def hooked(row: Network, kind: str, seed: int = 0):
    start = load_network(row)
    return target_network(start, "compressed", kind, halves(kind).classes, HEAD, SIDE, seed)


# --- encoders of this project ---


@pytest.mark.parametrize(
    ("spec", "tap", "channels"),
    [
        (BANK, "block4", 3),
        (BANK, "compressed", 3),
        (with_(BANK, input_channels=1), "block4", 1),
        (with_(BANK, strides=(2, 2, 1, 1)), "block4", 3),
        (SmallSpec(width=4), "compressed", 3),
    ],
)
@pytest.mark.parametrize("size", [(32, 32), (37, 50), (5, 70)])
def test_scores_have_the_size_of_the_image(spec, tap, channels, size):
    head = HeadConfig(width=4, rates=(1, 3), image_pooling=True)
    net = network_of(spec=spec, tap=tap, head=head).eval()
    assert net.input_channels == channels
    assert net.window is None
    assert net(torch.zeros(2, channels, *size)).shape == (2, 2, *size)
    net = network_of("values", ("a", "b", "c"), spec, tap, head).eval()
    assert net(torch.zeros(2, channels, *size)).shape == (2, 3)


def test_what_fills_up_an_image_is_cut_off_again():
    net = network_of(spec=BANK, tap="block4").eval()
    image = torch.randn(1, 3, 30, 33, generator=torch.Generator().manual_seed(0))
    filled = torch.zeros(1, 3, 32, 36)
    filled[:, :, :30, :33] = image
    with torch.no_grad():
        assert torch.equal(net(image), net(filled)[:, :, :30, :33])


def test_images_can_be_shown_smaller_and_are_scored_at_their_own_size():
    head = with_(HEAD, input_scale=0.5)
    shrunk, plain = (network_of(spec=BANK, tap="block4", head=one).eval() for one in (head, HEAD))
    images = torch.rand(1, 3, 49, 70) * 2 - 1
    with torch.no_grad():
        smaller = F.interpolate(images, size=(24, 35), mode="bilinear", antialias=True)
        expected = F.interpolate(plain(smaller), size=(49, 70), mode="bilinear")
        assert torch.equal(shrunk(images), expected)
        # What is shrunk already is not shrunk again.
        assert torch.equal(shrunk(smaller, shrunk=True), plain(smaller))


def test_what_the_tap_does_not_need_is_left_out():
    for tap, expected in (("block4", False), ("compressed", True)):
        state = network_of(spec=BANK, tap=tap).state_dict()
        assert any("compress" in key for key in state) == expected


def test_encoder_and_head_come_from_the_seed():
    def states(seed, other=None):
        torch.rand(1)  # whatever was drawn before must not count
        net = network_of(spec=BANK, tap="block4", seed=seed)
        return net.encoder.encoder.state_dict(), net.head.state_dict()

    one, another, other = states(1), states(1), states(2)
    for part in range(2):
        assert all(torch.equal(v, another[part][k]) for k, v in one[part].items())
        assert any(not torch.equal(v, other[part][k]) for k, v in one[part].items())
    expected = random_encoder(BANK, 1).state_dict()
    assert all(torch.equal(v, expected[k]) for k, v in one[0].items())
    # Another encoder leaves the head's weights as they are.
    net = target_network(untrained(BANK, 5), "block4", "segmentation", ("a", "b"), HEAD, SIDE, 1)
    assert torch.equal(net.head.classifier.weight, one[1]["classifier.weight"])
    assert all(p.requires_grad for p in net.parameters())


def test_an_encoder_of_this_project_is_trained_as_a_whole():
    for spec, tap in ((BANK, "block4"), (BANK, "compressed"), (SMALL, "compressed")):
        net = network_of(spec=spec, tap=tap)
        n = len([*net.encoder.parameters()])
        assert (net.trained_share().tensors, net.trained_share().of) == (n, n)
        assert net.trained == "whole network"
        assert net.seen_at == net.side == SIDE


def test_impossible_taps_are_named():
    with pytest.raises(ConfigError, match="the small encoder has no tap block4; there are comp"):
        network_of(spec=SMALL, tap="block4")
    with pytest.raises(ConfigError, match="no tap block2; there are compressed, block4"):
        network_of(spec=BANK, tap="block2")


# --- other networks ---


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["ConvNet", "Tokens"])
def test_a_user_s_network_has_an_answer_for_every_kind(made, name, kind):
    net = hooked(made(name), kind)
    outputs = net.eval()(torch.zeros(3, 3, SIDE, SIDE))
    k = len(halves(kind).classes)
    assert outputs.shape == ((3, k, SIDE, SIDE) if net.is_dense else (3, k))
    assert net.window == SIDE
    assert hooked(made(name, None), kind).window is None
    heads = [hooked(made(name), kind, seed).head.state_dict() for seed in (1, 1, 2)]
    assert all(torch.equal(v, heads[1][k]) for k, v in heads[0].items())
    assert any(not torch.equal(v, heads[2][k]) for k, v in heads[0].items())


def test_a_user_s_network_is_shown_what_its_row_says(made):
    row = replace(made("ConvNet"), mean=(0.25,) * 3, std=(0.5,) * 3, channels="bgr")
    net = hooked(row, "classification").eval()
    images = torch.rand(2, 3, SIDE, SIDE)
    with torch.no_grad():
        shown = (images.flip(1) - 0.25) / 0.5
        expected = net.encoder.network.last(net.encoder.network.body(shown))
        assert torch.allclose(net.features(images * 2 - 1), expected, atol=1e-5)


def test_a_map_needs_a_layer_with_positions(made):
    with pytest.raises(ConfigError, match="net has no layer with positions before its head, which"):
        hooked(made("Vectors"), "regression")
    for kind in ("classification", "values"):
        net = hooked(made("Vectors"), kind)
        assert net(torch.zeros(2, 3, SIDE, SIDE)).shape == (2, 2)


def test_features_as_maps():
    assert as_map(torch.zeros(2, 5, 3, 4)).shape == (2, 5, 3, 4)
    assert as_map(torch.zeros(2, 7)).shape == (2, 7, 1, 1)
    tokens = torch.arange(2 * 10 * 3.0).view(2, 10, 3)
    grid = as_map(tokens)
    assert grid.shape == (2, 3, 3, 3)
    # The first token is that of the class.
    assert torch.equal(grid[1, :, 0, 0], tokens[1, 1])
    assert torch.equal(grid[1, :, 2, 1], tokens[1, 8])
    assert as_map(torch.zeros(2, 7, 3)).shape == (2, 3, 1, 1)


def test_the_layout_in_memory_is_kept_where_code_relies_on_it(made):
    def layout(net):
        net.to(memory_format=torch.channels_last)
        weight = next(p for p in net.encoder.parameters() if p.ndim == 4 and p.shape[2] > 1)
        return weight.is_contiguous(memory_format=torch.channels_last)

    assert layout(network_of(spec=BANK))
    assert not layout(hooked(made("ConvNet"), "classification"))


# --- statistics ---


def test_frozen_statistics_outlast_a_change_of_mode(made):
    net = hooked(made("ConvNet"), "segmentation")
    norm = net.encoder.network.body[1]
    net.train()
    assert norm.training
    net.freeze_statistics(True)
    assert not norm.training
    assert net.head.projection[1].training
    net.eval()
    net.train()
    assert not norm.training
    net.freeze_statistics(False)
    assert norm.training


# --- files ---


def test_a_saved_network_predicts_the_same(tmp_path):
    head = HeadConfig(width=4, rates=(1, 2), image_pooling=True)
    net = network_of(spec=BANK, tap="block4", head=head).eval()
    path = tmp_path / "weights.safetensors"
    path.write_bytes(target_bytes(net, {"key": "x", "a": 1}))
    again = load_target(path)
    image = torch.rand(1, 3, 33, 41) * 2 - 1
    with torch.no_grad():
        assert torch.equal(net(image), again(image))
    assert (again.classes, again.kind, again.tap) == (net.classes, net.kind, "block4")
    assert target_bytes(again, {"key": "x", "a": 1}) == path.read_bytes()
    assert target_header(path)["about"] == {"key": "x", "a": 1}
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(DataError, match="not a whole safetensors file"):
        load_target(path)
    with pytest.raises(DataError, match="no such weights file"):
        load_target(tmp_path / "absent.safetensors")


def test_a_user_s_network_is_loaded_by_its_row(made, tmp_path):
    row = made("ConvNet")
    net = hooked(row, "segmentation", seed=3).eval()
    with torch.no_grad():
        net.encoder.network.last.weight += 1
    path = tmp_path / "weights.safetensors"
    path.write_bytes(target_bytes(net))
    with pytest.raises(DataError, match="is not an encoder of this project; give its row"):
        load_target(path)
    image = torch.rand(1, 3, SIDE, SIDE)
    with torch.no_grad():
        assert torch.equal(load_target(path, row)(image), net(image))
    with pytest.raises(DataError, match="does not fit its own header"):
        load_target(path, made("Tokens"))


@pytest.mark.parametrize("spec", [BANK, SMALL, with_(BANK, input_channels=1)])
def test_the_encoder_alone_can_be_taken_out(tmp_path, made, spec):
    net = network_of(spec=spec)
    path = tmp_path / "encoder.safetensors"
    path.write_bytes(encoder_bytes(net))
    again = load_encoder(path)
    image = torch.randn(1, spec.input_channels, 32, 32)
    with torch.no_grad():
        assert torch.equal(again(image), net.eval().encoder.encoder(image))
    with pytest.raises(DataError, match="holds no network of a target"):
        load_target(path)
    with pytest.raises(ConfigError, match="trained at block4 has no compressed output"):
        encoder_bytes(network_of(spec=BANK, tap="block4"))
    with pytest.raises(ConfigError, match="has no compressed output to extract"):
        encoder_bytes(hooked(made("ConvNet"), "classification"))


# --- ONNX ---


@pytest.fixture
def onnx_row(tmp_path) -> Network:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from onnx import TensorProto, helper, numpy_helper, save

    rng = np.random.default_rng(0)
    weights = [rng.normal(size=s).astype(np.float32) for s in ((6, 3, 3, 3), (4, 6, 1, 1))]
    nodes = [
        helper.make_node("Conv", ["x", "w0"], ["a"], strides=[2, 2], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Conv", ["b", "w1"], ["c"]),
        helper.make_node("GlobalAveragePool", ["c"], ["y"]),
    ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes, "net", [value("x", TensorProto.FLOAT, ["n", 3, SIDE, SIDE])],
        [value("y", TensorProto.FLOAT, ["n", 4, 1, 1])],
        [numpy_helper.from_array(w, f"w{i}") for i, w in enumerate(weights)],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    save(model, tmp_path / "net.onnx")
    return Network("net", "net", "", "onnx", weights=str(tmp_path / "net.onnx"), size=SIDE)


def test_an_onnx_network_gets_a_trained_head(onnx_row):
    from small_targets import RECIPE
    from taskrsa.training.finetuning import finetune

    data = halves("segmentation")
    net = hooked(onnx_row, "segmentation")
    assert not net.trains_encoder
    assert net.trained == "head only"
    head = {key: value.clone() for key, value in net.head.state_dict().items()}
    shown = torch.rand(2, 3, SIDE, SIDE) * 2 - 1
    features = net.features(shown)
    net, progress = finetune(net, data, data, RECIPE, 0)
    assert progress.curve[-1][2] > 0.35
    assert torch.equal(net.features(shown), features)
    assert not any(weight.requires_grad for weight in net.encoder.parameters())
    changed = [k for k, v in net.head.state_dict().items() if not torch.equal(v, head[k])]
    assert any("weight" in key for key in changed)
