"""ONNX networks: values inside the graph, the layers that auto takes, one-line errors."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from taskrsa.errors import ConfigError, DataError
from taskrsa.networks.beside import external_files
from taskrsa.networks.checking import check
from taskrsa.networks.extraction import extract
from taskrsa.networks.loading import load_network, tap_network
from taskrsa.networks.maps import head_layer
from taskrsa.networks.network import Network, hash_of
from taskrsa.networks.preprocessing import input_of
from torch import nn
from user_networks import IMAGES, row


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def features(chosen: Network) -> dict[str, np.ndarray]:
    network, _ = tap_network(chosen, 32)
    return extract(network.extractor("bf16"), input_of(chosen, False), IMAGES, 2, "net")


def refuses(error: type[Exception], words: str, chosen: Network) -> None:
    with pytest.raises(error, match=f"^bank, row net, {words}") as caught:
        tap_network(chosen, 32)
    assert "\n" not in str(caught.value)


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
    chosen = row("onnx", weights="net.onnx", layers="relu bottleneck=mean")
    taps = features(chosen)
    assert list(taps) == ["relu", "bottleneck"]
    kernel = torch.from_numpy(weights["k"].astype(np.float32))
    relu = nn.functional.conv2d(input_of(chosen, False)(IMAGES), kernel).relu()
    np.testing.assert_allclose(taps["relu"], relu.permute(0, 2, 3, 1).flatten(1).numpy(), atol=1e-5)
    np.testing.assert_allclose(taps["bottleneck"], (-relu * relu).mean((2, 3)).numpy(), atol=1e-4)


def test_auto_on_an_onnx_graph(folder):
    write_onnx(folder / "net.onnx")
    _, chosen = tap_network(row("onnx", weights="net.onnx"), 32)
    # Not the two branches, and not linear, bias and softmax, which are the head.
    assert [layer.name for layer in chosen.values()] == ["conv", "relu", "both", "mean"]


def test_parameters_are_counted_wherever_the_file_has_them(folder):
    import onnx

    weights = write_onnx(folder / "net.onnx")
    expected = sum(values.size for values in weights.values())
    chosen = row("onnx", weights="net.onnx")
    assert load_network(chosen).n_parameters == expected
    model = onnx.load(folder / "net.onnx")
    moved = model.graph.initializer.pop(0)
    node = onnx.helper.make_node("Constant", [], [moved.name], value=moved)
    model.graph.node.insert(0, node)
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.ones(7, np.int64), "sides"))
    onnx.save(model, folder / "net.onnx")
    assert load_network(chosen).n_parameters == expected


def test_what_is_wrong_with_an_onnx_network(folder):
    write_onnx(folder / "net.onnx", side=24)
    plain = row("onnx", weights="net.onnx")
    other = row("onnx", weights="net.onnx", size="32")
    refuses(ConfigError, "size: net.onnx takes images of 24 x 24", other)
    assert len(features(row("onnx", weights="net.onnx", size="24"))) == 4
    # The size that the file asks for is the default.
    assert tap_network(plain, 32)[0].row.size == 24
    grey = row("onnx", weights="net.onnx", channels="grey", size="24")
    refuses(ConfigError, "channels: net.onnx takes 3 channels", grey)
    missing = row("onnx", weights="net.onnx", size="24", layers="block*")
    refuses(ConfigError, r"layers: nothing is named block\*; there are conv", missing)
    Path("net.onnx").write_bytes(b"\x00no network")
    refuses(DataError, "weights: net.onnx is not a whole ONNX network", plain)
    Path("net.onnx").write_text("<!doctype html><title>404</title>")
    refuses(DataError, "weights: net.onnx is a web page", plain)
    Path("net.onnx").write_bytes(b"\x89HDF\r\n\x1a\n")
    refuses(DataError, "weights: net.onnx is HDF5, as Keras writes it", plain)


def test_half_precision_leaves_the_network_as_it_is_and_says_so(folder, capsys):
    write_onnx(folder / "net.onnx")
    chosen = row("onnx", weights="net.onnx", layers="relu")
    network, _ = tap_network(chosen, 32)
    images = input_of(chosen, False)(IMAGES)
    assert capsys.readouterr().out == "net: images at 32 pixels\n"
    plain = network.extractor()(images)["relu"]
    assert not capsys.readouterr().out
    assert torch.equal(network.extractor("bf16")(images)["relu"], plain)
    assert "net: ONNX networks run in the precision of their file" in capsys.readouterr().out


def write_graph(path: Path, nodes: list, weights: dict, shape: list) -> Network:
    """Write a network of images of 16 x 16 pixels with the output y of a shape; return its row."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    make, array = onnx.helper, onnx.numpy_helper.from_array
    value = make.make_tensor_value_info
    graph = make.make_graph(
        [make.make_node(kind, read, made, **words) for kind, read, made, words in nodes],
        "g", [value("x", 1, ["n", 3, 16, 16])], [value("y", 1, shape)],
        [array(np.asarray(v), name) for name, v in weights.items()],
    )  # fmt: skip
    model = make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return row("onnx", weights=str(path))


def drawn(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def test_an_onnx_network_that_corrects_its_image(folder):
    weights = {"a": drawn(8, 3, 3, 3), "b": drawn(8, 8, 3, 3), "c": drawn(3, 8, 3, 3)}
    pads = {"pads": [1, 1, 1, 1]}
    chosen = write_graph(
        folder / "net.onnx",
        [
            ("Conv", ["x", "a"], ["one"], pads),
            ("Relu", ["one"], ["two"], {}),
            ("Conv", ["two", "b"], ["three"], pads),
            ("Relu", ["three"], ["four"], {}),
            ("Conv", ["four", "c"], ["noise"], pads),
            ("Sub", ["x", "noise"], ["clean"], {}),
            ("Clip", ["clean"], ["y"], {}),
        ],
        weights,
        ["n", 3, 16, 16],
    )
    network, auto = tap_network(chosen, 32)
    assert [layer.name for layer in auto.values()] == ["one", "two", "three", "four"]
    assert auto["last"].reading.grid == (16, 16)
    layers = {layer.name: layer for layer in network.find_layers(torch.rand(2, 3, 16, 16))}
    assert {name for name, layer in layers.items() if layer.head} == {"noise", "clean", "y"}


def test_tokens_of_an_onnx_network_keep_their_places(folder):
    weights = {
        "a": drawn(6, 3, 4, 4), "shape": np.array([0, 6, -1]), "class": drawn(1, 1, 6),
        "n": np.array([2, 1, 6]), "w": drawn(6, 6), "from": np.array([0]), "to": np.array([1]),
        "along": np.array([1]), "v": drawn(6, 5),
    }  # fmt: skip
    chosen = write_graph(
        folder / "net.onnx",
        [
            ("Conv", ["x", "a"], ["patches"], {"strides": [4, 4]}),
            ("Reshape", ["patches", "shape"], ["flat"], {}),
            ("Transpose", ["flat"], ["tokens"], {"perm": [0, 2, 1]}),
            ("Expand", ["class", "n"], ["classes"], {}),
            ("Concat", ["classes", "tokens"], ["all"], {"axis": 1}),
            ("MatMul", ["all", "w"], ["mixed"], {}),
            ("Add", ["all", "mixed"], ["sum"], {}),
            ("Slice", ["sum", "from", "to", "along"], ["first"], {}),
            ("Squeeze", ["first", "along"], ["vector"], {}),
            ("MatMul", ["vector", "v"], ["y"], {}),
        ],
        weights,
        ["n", 5],
    )
    network, auto = tap_network(chosen, 32)
    assert auto["last"].name == "first"
    layers = {layer.name: layer for layer in network.find_layers(torch.rand(2, 3, 16, 16))}
    found = layers["sum"].reading
    assert (found.channels_at, found.grid, found.skipped) == (1, (4, 4), 1)
    flat = layers["flat"].reading  # channels before positions, of which there are a square, too
    assert (flat.channels_at, flat.grid, flat.skipped) == (0, (4, 4), 0)
    assert head_layer(list(layers.values()), "segmentation", chosen).name == "sum"


def test_data_outside_of_a_file_are_part_of_its_hash_and_of_what_a_network_is_made_of(folder):
    write_onnx(folder / "net.onnx")
    onnx = pytest.importorskip("onnx")
    assert external_files(folder / "net.onnx") == []
    inside = features(row("onnx", weights="net.onnx"))["last"]
    model = onnx.load(folder / "net.onnx")
    onnx.save(model, "big.onnx", save_as_external_data=True, location="big.bin", size_threshold=0)
    assert external_files(folder / "big.onnx") == [folder / "big.bin"]
    both = (folder / "big.onnx").read_bytes() + (folder / "big.bin").read_bytes()
    expected = hashlib.sha256(both).hexdigest()
    chosen = row("onnx", weights="big.onnx", sha256=expected)
    assert hash_of(chosen, folder / "big.onnx") == expected
    np.testing.assert_array_equal(features(chosen)["last"], inside)
    found = check(chosen, None, 32, ["classification"])
    assert found["files"] == ["big.bin"]
    assert "last" in found["layers"]
    data = (folder / "big.bin").read_bytes()
    (folder / "big.bin").write_bytes(bytes(4) + data[4:])
    refuses(DataError, "sha256: big.onnx has SHA-256", chosen)
    (folder / "big.bin").unlink()
    refuses(DataError, "weights: there is no file big.bin, where big.onnx keeps its data", chosen)
    assert external_files(folder / "absent.onnx") == []
