"""Networks of the user's own: loading, choosing layers, listening, and one-line errors."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from taskrsa.errors import ConfigError, DataError, RepresentationError, TaskrsaError
from taskrsa.networks.extraction import extract
from taskrsa.networks.foreign import input_of, listening, network_of, places_of
from taskrsa.networks.layers import Place, bottlenecks, choose
from taskrsa.networks.spec import EncoderSpec
from taskrsa.networks.table import network
from taskrsa.networks.weights import random_encoder, save_encoder
from taskrsa.rsa.rdm import compute_rdm
from torch import nn

ROOT = Path(__file__).parents[2]
IMAGES = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
NETWORKS = '''
import torch
from torch import nn


class Block(nn.Module):
    """A residual block that rectifies in place, with one ReLU for all its places."""

    def __init__(self, width):
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        y = self.conv2(self.relu(self.conv1(x)))
        y += x
        return self.relu(y)


class Residual(nn.Module):
    def __init__(self, width=4, blocks=(2, 3), inputs=3):
        super().__init__()
        self.stem = nn.Conv2d(inputs, width, 3, stride=2, padding=1)
        self.layer1 = nn.Sequential(*(Block(width) for _ in range(blocks[0])))
        self.layer2 = nn.Sequential(*(Block(width) for _ in range(blocks[1])))
        self.unused = nn.Linear(2, 2)
        self.pool = nn.AdaptiveAvgPool2d(4)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(16 * width, 10)

    def forward(self, x):
        x = self.layer2(self.layer1(self.stem(x)))
        # As old code does: refuses other layouts than the standard one.
        return self.head(self.drop(self.pool(x).view(len(x), -1)))


class Tokens(nn.Module):
    """Patches as tokens before the images, a transformer, and a packed output."""

    def __init__(self, images_first=True):
        super().__init__()
        self.images_first = images_first
        self.patch = nn.Conv2d(3, 16, 8, stride=8)
        layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=images_first)
        self.blocks = nn.TransformerEncoder(layer, 3, enable_nested_tensor=False)
        self.pack = Pack()
        self.head = nn.Linear(16, 10)

    def forward(self, x):
        x = self.patch(x).flatten(2)
        x = self.blocks(x.permute(0, 2, 1) if self.images_first else x.permute(2, 0, 1))
        packed = self.pack(x)
        x = packed["hidden"][0].mean(1 if self.images_first else 0)
        return {"logits": self.head(x)}


class Pack(nn.Module):
    def forward(self, x):
        return {"hidden": (x, None)}


class Fickle(nn.Module):
    """Reaches its first layer by bright images only."""

    def __init__(self):
        super().__init__()
        self.bright, self.all = nn.Conv2d(3, 2, 3), nn.Conv2d(3, 2, 3)

    def forward(self, x):
        if x.mean() > -1:
            self.bright(x)
        return self.all(x)


class Overflow(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Conv2d(3, 2, 3)
        self.scale.weight.data.fill_(3e38)

    def forward(self, x):
        return self.scale(x).exp() - 1


def fails():
    return {}["no such key"]


def lazy():
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(2))


def text():
    return "no network"
'''


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Work in a folder that holds the user's module."""
    (tmp_path / "mynets.py").write_text(NETWORKS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    sys.modules.pop("mynets", None)
    yield tmp_path
    sys.modules.pop("mynets", None)


def row(loader="mynets:Residual", **changes):
    return network(
        {"name": "net", "loader": loader, "mean": "0.5", "std": "0.5", "channels": "rgb"} | changes
    )


def features(chosen_row, **options) -> dict[str, np.ndarray]:
    encoder, _ = listening(chosen_row, 32, **options)
    return extract(encoder, input_of(chosen_row), IMAGES, 2, "net")


def refuses(error: type[TaskrsaError], words: str, call) -> None:
    with pytest.raises(error, match=words) as caught:
        call()
    assert "\n" not in str(caught.value)
    assert "bank, row net, " in str(caught.value)


# --- layers and their features ---


def test_features_are_what_the_modules_put_out():
    chosen = row(layers="stem layer1.0.conv2 drop")
    taps = features(chosen)
    net = network_of(chosen)
    shown = input_of(chosen)(IMAGES)
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
        "mynets:Tokens",
        layers="blocks.layers.* pack",
        arguments=f'{{"images_first": {images_first}}}',
    )
    taps = features(chosen)
    assert {"blocks.layers.0", "blocks.layers.2.linear2", "pack"} <= set(taps)
    net = network_of(chosen)
    with torch.inference_mode():
        x = net.patch(input_of(chosen)(IMAGES)).flatten(2).permute(2, 0, 1)
        first = net.blocks.layers[0](x.transpose(0, 1) if images_first == "true" else x)
        first = first if images_first == "true" else first.transpose(0, 1)
    assert first.shape == (5, 16, 16)  # images, tokens, channels
    np.testing.assert_allclose(
        taps["blocks.layers.0"], first.flatten(1).numpy(), atol=1e-5, rtol=1e-4
    )
    np.testing.assert_array_equal(taps["pack"], taps["blocks.layers.2"])


def test_auto_takes_blocks_evenly_and_the_last_before_the_head():
    _, chosen = listening(row(), 32)
    # On the trunk: the stem, five blocks of which two end a stage, and the pool, of which drop is a
    # view.
    assert {layer: place.name for layer, place in chosen.items()} == {
        "depth1": "layer1.0",
        "depth2": "layer1",
        "depth3": "layer2.0",
        "depth4": "layer2.1",
        "depth5": "layer2",
        "last": "pool",
    }
    _, chosen = listening(row(arguments='{"blocks": [1, 0]}'), 32)
    # Three alone, so the block is opened; nothing inside is on the trunk.
    assert next(place.name for place in chosen.values()) == "stem"
    assert list(chosen)[-1] == "last"
    _, chosen = listening(row("mynets:Tokens"), 32)
    assert chosen["last"].name == "blocks"
    assert "blocks.layers.0" in {place.name for place in chosen.values()}


def test_every_path_passes_a_bottleneck():
    # a -> b -> d, a -> c -> d, d -> e
    before = {"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"], "e": ["d"]}
    assert bottlenecks(list("abcde"), before.__getitem__) == ["a", "d", "e"]
    before["e"] = ["d", "a"]
    assert bottlenecks(list("abcde"), before.__getitem__) == ["a", "e"]


def test_names_wildcards_and_new_names():
    places = [
        Place("a.1", "Conv2d", (4,)),
        Place("a.2", "Conv2d", (4,)),
        Place("b", "ReLU", fault="is called 3 times for one image"),
        Place("c", "Linear", (2,)),
    ]

    def names(layers: str) -> dict[str, str]:
        return {layer: place.name for layer, place in choose(places, row(layers=layers)).items()}

    assert names("c a.*") == {"c": "c", "a.1": "a.1", "a.2": "a.2"}
    assert names("early=a.1 late=c") == {"early": "a.1", "late": "c"}
    assert names("a.1 *") == {"a.1": "a.1", "a.2": "a.2", "c": "c"}
    refuses(
        ConfigError, "layers: nothing is named d\\*; there are a.1, a.2, c", lambda: names("d*")
    )
    refuses(ConfigError, "layers: b cannot be used: it is called 3 times", lambda: names("b"))
    refuses(ConfigError, r"x=a\.\* matches 2, a.1, a.2; name one", lambda: names("x=a.*"))
    refuses(ConfigError, "a.1 and c would both be layer c", lambda: names("c=a.1 c"))
    refuses(ConfigError, "auto finds nothing before the head", lambda: names("auto"))


def test_places_say_why_they_cannot_be_used():
    chosen = row()
    found = {place.name: place for place in places_of(network_of(chosen), chosen, 32)}
    assert found["layer1.0.relu"].fault == "is called 2 times for one image"
    assert found["unused"].fault == "is never reached"
    assert found["layer2"].shape == (4, 16, 16)
    refuses(ConfigError, "unused cannot be used", lambda: listening(row(layers="unused"), 32))


def test_a_module_that_some_images_do_not_reach():
    chosen = row("mynets:Fickle", layers="bright")
    encoder, _ = listening(chosen, 32)
    dark = np.zeros_like(IMAGES)
    words = "layers: module bright is not reached by these images"
    refuses(RepresentationError, words, lambda: extract(encoder, input_of(chosen), dark, 2, "net"))


def test_features_that_are_not_finite_name_network_and_layer():
    taps = features(row("mynets:Overflow", layers="scale"))
    with pytest.raises(RepresentationError, match=r"net, scale: (infinite|NaN) features"):
        compute_rdm(taps["scale"], name="net, scale")


# --- input ---


def test_input_is_resized_ordered_and_normalised():
    chosen = row(size="16", mean="0.1 0.2 0.3", std="1/255", channels="bgr")
    shown = input_of(chosen)(np.full((2, 32, 32, 3), (10, 20, 30), np.uint8))
    assert shown.shape == (2, 3, 16, 16)
    expected = (np.array([30, 20, 10]) / 255 - (0.1, 0.2, 0.3)) * 255
    np.testing.assert_allclose(shown[0, :, 5, 5], expected, atol=1e-3)
    means = IMAGES.reshape(5, 16, 2, 16, 2, 3).mean((2, 4)).transpose(0, 3, 1, 2) / 255
    halved = input_of(row(size="16", mean="0", std="1"))(IMAGES).numpy()
    assert np.corrcoef(halved.ravel(), means.ravel())[0, 1] > 0.9
    grey = input_of(row(channels="grey", mean="0", std="1"))(IMAGES[:1])
    np.testing.assert_allclose(
        grey[0, 0].numpy(), IMAGES[0] @ np.array([0.299, 0.587, 0.114]) / 255, atol=1e-6
    )
    white = input_of(row(channels="lightness", mean="0", std="1"))(np.full_like(IMAGES, 255))
    np.testing.assert_allclose(white.numpy(), 1, atol=1e-4)


def test_an_input_of_other_channels_or_size_is_one_line():
    grey = row(channels="grey")
    refuses(ConfigError, "channels and size: the network fails on", lambda: listening(grey, 32))
    small = row("mynets:Tokens", size="4")
    refuses(ConfigError, "fails on images of 3 x 4 x 4 .RuntimeError", lambda: listening(small, 32))


# --- loaders ---


def test_a_state_dict_is_loaded_by_weights_only(folder):
    drawn = network_of(row()).state_dict()
    other = {key: value + 1 for key, value in drawn.items()}
    half = {f"module.{key}": value.half() for key, value in other.items()}
    torch.save({"state_dict": half, "epoch": 3}, "a.pth")
    loaded = network_of(row(weights="a.pth")).state_dict()
    for key, value in loaded.items():
        assert value.dtype == torch.float32
        torch.testing.assert_close(value, other[key].half().float())
    torch.save(nn.Linear(2, 2), "module.pth")
    refuses(
        DataError, "weights: module.pth cannot be loaded with weights_only=True .it asks for torch",
        lambda: network_of(row(weights="module.pth")),
    )  # fmt: skip
    other["extra.weight"] = other.pop("head.weight")
    torch.save(other, "b.pth")
    refuses(
        DataError, r"does not fit the network: missing head.weight; unexpected extra.weight",
        lambda: network_of(row(weights="b.pth")),
    )  # fmt: skip
    torch.save([1, 2], "c.pth")
    refuses(DataError, "holds no state_dict", lambda: network_of(row(weights="c.pth")))
    refuses(
        DataError, "sha256: a.pth has SHA-256",
        lambda: network_of(row(weights="a.pth", sha256="0" * 64)),
    )  # fmt: skip


def test_drawn_weights_are_the_same_every_time():
    first, second = (network_of(row()).state_dict() for _ in range(2))
    assert all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize(
    ("loader", "words"),
    [
        ("no_such_module:make", "loader: there is no module no_such_module"),
        ("mynets:make", "loader: mynets has no make"),
        ("mynets:torch", "loader: mynets:torch cannot be called"),
        ("mynets:fails", r"loader: mynets:fails fails .KeyError: 'no such key', mynets.py line \d"),
        ("mynets:lazy", "loader: mynets:lazy returns a network of lazy modules; run it once"),
        ("mynets:text", "loader: mynets:text returns a str, not a torch module"),
    ],
)
def test_what_is_wrong_with_a_function(loader, words):
    refuses(ConfigError, words, lambda: network_of(row(loader)))


@pytest.mark.parametrize("package", ["timm", "torchvision"])
def test_optional_packages_make_networks_or_say_how_to_get_them(package):
    chosen = row(f"{package}:resnet18", arguments='{"num_classes": 3}', weights="resnet.pth")
    Path("resnet.pth").touch()
    try:
        module = importlib.import_module(package)
    except Exception:  # as broken installations raise
        words = rf'loader: {package} (is not installed|cannot .*); install it: pip install "\.\['
        refuses(ConfigError, words, lambda: network_of(chosen))
        return
    make = module.create_model if package == "timm" else module.models.get_model
    made = make("resnet18", num_classes=3)
    torch.save(made.state_dict(), "resnet.pth")
    _, layers = listening(chosen, 64)
    assert len(layers) == 6
    loaded = network_of(chosen).state_dict()
    assert all(torch.equal(value, loaded[key]) for key, value in made.state_dict().items())


def test_encoders_of_this_project(folder):
    encoder = random_encoder(EncoderSpec(width=4, units=(1, 1, 1, 1)), 0).eval()
    save_encoder("net.safetensors", encoder)
    chosen = row("checkpoint", weights="net.safetensors", layers="block1 late=compressed")
    taps = features(chosen)
    assert list(taps) == ["block1", "late"]
    with torch.inference_mode():
        expected = encoder.features(input_of(chosen)(IMAGES))["compressed"]
    np.testing.assert_allclose(
        taps["late"], expected.permute(0, 2, 3, 1).flatten(1).numpy(), atol=1e-5
    )
    assert list(features(row("checkpoint", weights="net.safetensors"))) == [
        *("depth1", "depth2", "depth3", "depth4", "last")
    ]
    grey = row("checkpoint", weights="net.safetensors", channels="grey")
    refuses(ConfigError, "channels: .* takes 3 channels and grey has 1", lambda: network_of(grey))
    torch.save({"state_dict": {}}, "a.pth")
    refuses(
        ConfigError, "a.pth is no .safetensors",
        lambda: network_of(row("checkpoint", weights="a.pth")),
    )  # fmt: skip
    refuses(
        DataError, "weights: a.pth: does not fit the encoder: missing",
        lambda: network_of(row("taskonomy", weights="a.pth")),
    )  # fmt: skip


# --- ONNX ---


def write_onnx(path: Path, batch: int | str = "n", last: bool = False, side: int | str = "h"):
    """Write conv, ReLU, a branch that asks for its shape, mean over space, linear, softmax."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    make, array = onnx.helper, onnx.numpy_helper.from_array
    draw = np.random.default_rng(0).standard_normal
    weights = {"k": draw((4, 3, 3, 3)), "w": draw((4, 5)), "b": draw(5)}
    nodes = [
        make.make_node("Transpose", ["x"], ["t"], perm=[0, 3, 1, 2]),
        make.make_node("Conv", ["t" if last else "x", "k"], ["conv"]),
        make.make_node("Relu", ["conv"], ["relu"]),
        make.make_node("Shape", ["relu"], ["shape"]),
        make.make_node("Neg", ["relu"], ["left"]),
        make.make_node("Abs", ["relu"], ["right"]),
        make.make_node("Mul", ["left", "right"], ["both"]),
        make.make_node("Reshape", ["both", "shape"], ["again"]),
        make.make_node("ReduceMean", ["again"], ["mean"], axes=[2, 3], keepdims=0),
        make.make_node("MatMul", ["mean", "w"], ["linear"]),
        make.make_node("Add", ["linear", "b"], ["logits"]),
        make.make_node("Softmax", ["logits"], ["y"]),
    ][0 if last else 1 :]
    shape = [batch, side, side, 3] if last else [batch, 3, side, side]
    value = make.make_tensor_value_info
    graph = make.make_graph(
        nodes, "g", [value("x", 1, shape)], [value("y", 1, [batch, 5])],
        [array(v.astype(np.float32), name) for name, v in weights.items()],
    )  # fmt: skip
    model = make.make_model(graph, opset_imports=[make.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, path)
    return weights


@pytest.mark.parametrize(("batch", "last"), [("n", False), (1, False), (2, True)])
def test_onnx_values_inside_the_graph(folder, batch, last):
    weights = write_onnx(folder / "net.onnx", batch, last)
    chosen = row("onnx", weights="net.onnx", layers="relu code=mean")
    taps = features(chosen)
    assert list(taps) == ["relu", "code"]
    kernel = torch.from_numpy(weights["k"].astype(np.float32))
    relu = nn.functional.conv2d(input_of(chosen)(IMAGES), kernel).relu()
    np.testing.assert_allclose(taps["relu"], relu.permute(0, 2, 3, 1).flatten(1).numpy(), atol=1e-5)
    np.testing.assert_allclose(taps["code"], (-relu * relu).mean((2, 3)).numpy(), atol=1e-4)


def test_auto_on_an_onnx_graph(folder):
    write_onnx(folder / "net.onnx")
    _, chosen = listening(row("onnx", weights="net.onnx"), 32)
    # Not the two branches, and not linear, bias and softmax, which are the head.
    assert [place.name for place in chosen.values()] == ["conv", "relu", "both", "mean"]


def test_what_is_wrong_with_an_onnx_network(folder):
    write_onnx(folder / "net.onnx", side=24)
    plain = row("onnx", weights="net.onnx")
    refuses(ConfigError, "size: net.onnx takes images of 24 x 24", lambda: listening(plain, 32))
    assert len(features(row("onnx", weights="net.onnx", size="24"))) == 4
    grey = row("onnx", weights="net.onnx", channels="grey", size="24")
    refuses(ConfigError, "channels: net.onnx takes 3 channels", lambda: listening(grey, 32))
    missing = row("onnx", weights="net.onnx", size="24", layers="block*")
    refuses(
        ConfigError, r"nothing is named block\*; there are conv", lambda: listening(missing, 32)
    )
    Path("net.onnx").write_bytes(b"no network")
    refuses(DataError, "net.onnx is no whole ONNX network", lambda: listening(plain, 32))


# --- the command ---


def test_layers_are_listed(folder):
    header = "name label type loader weights sha256 layers size mean std channels"
    cells = ["net", "", "", "mynets:Residual", "", "", "auto", "32", "0.5", "0.5", "rgb"]
    bad = ["bad", *cells[1:6], "nothing*", *cells[7:]]
    lines = [header.split(), cells, bad]
    Path("bank.tsv").write_text("".join("\t".join(line) + "\n" for line in lines))

    def call(*words: str) -> subprocess.CompletedProcess:
        path = f"{ROOT / 'scripts'}"
        return subprocess.run(
            [sys.executable, "-m", "taskrsa", "layers", "bank.tsv", *words],
            env={"PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )

    done = call("net", "--schema", str(ROOT / "workflow/schemas/bank.schema.yaml"))
    assert done.returncode == 0, done.stderr
    listed = [line.split() for line in done.stdout.splitlines()]
    assert ["layer2", "Sequential", "4", "x", "16", "x", "16", "depth5"] in listed
    assert [
        "layer1.0.relu",
        "ReLU",
        "-",
        "is",
        "called",
        "2",
        "times",
        "for",
        "one",
        "image",
    ] in listed
    assert "net: runs mynets:Residual, code that you trust as your own" in done.stdout
    done = call("bad")
    assert done.returncode == 1
    assert done.stderr.startswith("error: bank, row bad, layers: nothing is named nothing*")
    assert "layer2" in done.stdout
    assert "error: bank.tsv: has no row x; there are net, bad" in call("x").stderr
