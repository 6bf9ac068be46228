"""Words that name networks, as rows of a table, and what is said of them."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from image_files import refuses
from taskrsa.errors import ConfigError, DataError
from taskrsa.io.files import sha256_of
from taskrsa.networks.loading import load_network
from taskrsa.networks.optional import optional_package
from taskrsa.networks.spec import SmallSpec
from taskrsa.networks.table import COLUMNS, network
from taskrsa.networks.weights import random_encoder, save_encoder
from taskrsa.new.networks import Proposal, proposals
from torch import nn

TABLE = [*COLUMNS, "arguments"]


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    # Each test writes its own module of that name.
    monkeypatch.delitem(sys.modules, "mynets", raising=False)


def onnx_file(path: Path, channels: int | None = 3, sides=(None, None)) -> Path:
    """Write an ONNX network: a convolution, the mean over positions, and two classes."""
    onnx = pytest.importorskip("onnx")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    shape = ["n", channels, *(side or name for side, name in zip(sides, "hw", strict=True))]
    weights = np.random.default_rng(0).normal(size=(4, channels, 3, 3)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["images", "w"], ["a"]),
            helper.make_node("Relu", ["a"], ["b"]),
            helper.make_node("GlobalAveragePool", ["b"], ["pooled"]),
            helper.make_node("Conv", ["pooled", "classes"], ["y"]),
        ],
        "net",
        [helper.make_tensor_value_info("images", kind, shape)],
        [helper.make_tensor_value_info("y", kind, ["n", 2, 1, 1])],
        [
            onnx.numpy_helper.from_array(weights, "w"),
            onnx.numpy_helper.from_array(np.ones((2, 4, 1, 1), np.float32), "classes"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, str(path))
    return path


def need(package: str) -> None:
    """Skip without a package; not by an import, before which torchvision may need some help."""
    if find_spec(package) is None:
        pytest.skip(f"{package} is not installed")


def one(word: str) -> Proposal:
    (found,) = proposals([word])
    return found


def test_timm(capsys):
    need("timm")
    net, control = proposals(["timm:resnet10t"])
    assert network(net.cells).loader == "timm:resnet10t"
    assert (net.side, net.doubts) == (176, ())
    assert "176 pixels" in net.known
    assert "apache-2.0" in net.known
    # The library's own normalisation is taken where cells are empty.
    assert not {"size", "mean", "std"} & net.cells.keys()
    row = network(control.cells)
    assert (row.name, row.type, row.arguments) == ("untrained", "untrained", {"pretrained": False})
    load_network(row)
    assert "images at 176 pixels" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("timm:resnet10x", "did you mean resnet"),
        ("timm:resnet10t.nothing", "Invalid pretrained tag .* there are resnet10t.c3_in1k"),
        ("torchvision:resnet19", "did you mean resnet18"),
    ],
)
def test_models_that_a_library_lacks(word, words):
    need(word.partition(":")[0])
    refuses(ConfigError, words, lambda: proposals([word]))


def test_a_model_without_weights():
    need("timm")
    timm = optional_package("timm", network({"name": "x", "loader": "timm:x"}))
    pretrained = set(timm.list_models(pretrained=True))
    bare = next(
        name
        for name in timm.list_models()
        if not any(tag.partition(".")[0] == name for tag in pretrained)
    )
    refuses(ConfigError, "timm has no weights for", lambda: proposals([f"timm:{bare}"]))


def test_torchvision():
    need("torchvision")
    net, control = proposals(["torchvision:resnet18"])
    assert (net.side, net.doubts) == (224, ())
    assert network(control.cells).arguments == {"weights": None}
    load_network(network(control.cells))


def test_onnx(tmp_path):
    word = str(onnx_file(tmp_path / "nets/edge net.onnx"))
    found = one(word)
    row = network(found.cells)
    assert (row.name, row.label, row.loader) == ("edge_net", "edge net", "onnx")
    assert (row.size, row.channels, row.sha256) == (224, "rgb", sha256_of(word))
    assert row.mean == (0.485, 0.456, 0.406)
    assert "ImageNet's mean and std" in found.doubts[0]
    assert "224 pixels are assumed" in found.doubts[1]


def test_onnx_of_one_size_and_one_channel(tmp_path):
    found = one(str(onnx_file(tmp_path / "grey.onnx", channels=1, sides=(48, 48))))
    row = network(found.cells)
    assert (row.size, found.side, row.channels, row.mean) == (48, 48, "grey", (0.449,))
    assert len(found.doubts) == 1


def test_onnx_files_that_cannot_be_used(tmp_path):
    wide = str(onnx_file(tmp_path / "wide.onnx", sides=(48, 192)))
    refuses(ConfigError, "takes images of 192 x 48 pixels", lambda: proposals([wide]))
    many = str(onnx_file(tmp_path / "many.onnx", channels=4))
    refuses(ConfigError, "takes 4 channels", lambda: proposals([many]))
    Path("broken.onnx").write_bytes(b"\x00no network")
    refuses(DataError, "is not a whole ONNX network", lambda: proposals(["broken.onnx"]))
    refuses(DataError, "there is no file absent.onnx", lambda: proposals(["absent.onnx"]))


def test_files_of_packages(tmp_path):
    word = "package:my_nets/inside/net.onnx"
    refuses(ConfigError, "package my_nets is not installed", lambda: proposals([word]))
    file = onnx_file(tmp_path / "my_nets/inside/net.onnx")
    (tmp_path / "my_nets/__init__.py").write_text("")
    cells = one(word).cells
    assert cells["weights"] == word
    assert cells["sha256"] == sha256_of(file)


def test_encoders_of_this_project(tmp_path):
    spec = SmallSpec(width=4, input_channels=1)
    save_encoder(tmp_path / "small.safetensors", random_encoder(spec, 0))
    row = network(one("small.safetensors").cells)
    assert (row.loader, row.channels) == ("checkpoint", "lightness")
    load_network(row)
    Path("other.safetensors").write_bytes(b"nothing")
    refuses(
        DataError, "is not an encoder of this project", lambda: proposals(["other.safetensors"])
    )


def test_files_of_rdms():
    np.savez("brain.npz", it=np.arange(1.0, 7.0), v1=np.arange(2.0, 8.0))
    found = one("brain.npz")
    assert found.conditions == 4
    assert found.known == "2 RDMs of 4 images: it, v1"
    assert "order of the stimuli" in found.doubts[0]
    assert network(found.cells).loader == "rdms"
    np.savez("none.npz", text=np.array(["a"]))
    refuses(DataError, "holds no RDMs", lambda: proposals(["none.npz"]))


def test_functions(tmp_path):
    (tmp_path / "mynets.py").write_text(
        "from torch import nn\n"
        "def plain(width=4):\n"
        "    return nn.Sequential(nn.Conv2d(3, width, 3), nn.ReLU(), nn.Conv2d(width, 2, 3))\n"
        "def needs(width, *, depth, more=1):\n"
        "    raise RuntimeError\n"
        "def grey():\n"
        "    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Conv2d(2, 2, 3))\n"
        "number = 3\n"
        "def leaves():\n"
        "    raise SystemExit(0)\n"
    )
    found = one("mynets:plain")
    assert isinstance(load_network(network(found.cells)).network, nn.Module)
    assert "width" in found.known
    assert "ImageNet's mean and std" in found.doubts[0]
    assert len(found.doubts) == 2
    needs = one("mynets:needs").doubts[1]
    assert needs.startswith("it needs arguments (width, depth)")
    assert '{"width": "..."}' in needs
    assert "it does not run like this" in one("mynets:grey").doubts[1]
    assert "it does not run like this" in one("mynets:leaves").doubts[1]
    refuses(
        ConfigError,
        r"loader: mynets:leaves fails \(SystemExit: 0, mynets",
        lambda: load_network(network(one("mynets:leaves").cells)),
    )
    (tmp_path / "script.py").write_text("raise SystemExit(0)")
    refuses(ConfigError, r"cannot be imported \(SystemExit", lambda: proposals(["script:make"]))
    refuses(ConfigError, "cannot be called", lambda: proposals(["mynets:number"]))
    refuses(ConfigError, "cannot be imported", lambda: proposals(["mynets:none"]))
    refuses(ConfigError, "cannot be imported", lambda: proposals(["no_such_nets:make"]))


def test_rows_of_a_table_are_copied(tmp_path):
    (tmp_path / "mynets.py").write_text("def make(width): ...\n")
    cells = ["net", "Net", "objects", "mynets:make", "", "", "last=1", "64", "0.5", "0.5", "bgr"]
    lines = [TABLE, [*cells, '{"width": 3}']]
    Path("mine.tsv").write_text("".join("\t".join(line) + "\n" for line in lines))
    found = one("mine.tsv")
    assert found.side == 64
    assert found.doubts == ()
    assert [found.cells[column] for column in TABLE] == lines[1]
    assert found.known == "Net, a row of mine.tsv"
    lines[1][4] = "absent.pth"
    Path("lacks.tsv").write_text("".join("\t".join(line) + "\n" for line in lines))
    refuses(DataError, "there is no file absent.pth", lambda: proposals(["lacks.tsv"]))
    lines[1][-1] = "no"
    Path("bad.tsv").write_text("".join("\t".join(line) + "\n" for line in lines))
    refuses(
        ConfigError, "bad.tsv, line 2: bank, row net, arguments", lambda: proposals(["bad.tsv"])
    )


@pytest.mark.parametrize(("arguments", "untrained"), [("", "yes"), ('{"pretrained": false}', "")])
def test_no_second_control(arguments, untrained):
    need("timm")
    cells = ["old", "", "", "timm:resnet10t", *[""] * 7, arguments, untrained]
    lines = [[*TABLE, "untrained"], cells]
    Path("mine.tsv").write_text("".join("\t".join(line) + "\n" for line in lines))
    found = proposals(["timm:resnet10t", "mine.tsv"])
    assert [one.name for one in found] == ["resnet10t", "old"]


def test_names_that_collide(tmp_path):
    onnx = [str(onnx_file(tmp_path / f"{folder}/net.onnx")) for folder in ("a", "b")]
    onnx.append(str(onnx_file(tmp_path / "c/b/NET.onnx")))
    onnx.append(str(onnx_file(tmp_path / "random.onnx")))
    names = [found.name for found in proposals(onnx)]
    assert names[:2] == ["net", "b_net"]
    assert len({name.lower() for name in names}) == 4
    assert "random" not in names  # that of a baseline
    refuses(ConfigError, "is given twice", lambda: proposals([onnx[0], onnx[0]]))


@pytest.mark.parametrize("word", ["resnet50", "timm:", "nothing.xyz", "a/b:c", "package:name"])
def test_words_that_are_none(word):
    refuses(
        ConfigError, f"--networks {word}: is not one of timm:<model>", lambda: proposals([word])
    )


def test_weights_alone_are_no_network():
    refuses(ConfigError, "not the network that they are of", lambda: proposals(["weights.pth"]))
