"""ONNX networks as torch modules: the same features, gradients everywhere, one-line errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from taskrsa.errors import ConfigError
from taskrsa.networks import onnx_torch
from taskrsa.networks.extraction import extract
from taskrsa.networks.loading import load_network, tap_network
from taskrsa.networks.network import Network
from taskrsa.networks.optional import let_torchvision_be_imported
from taskrsa.networks.preprocessing import input_of
from taskrsa.networks.target import target_network
from taskrsa.recipes import HeadConfig
from user_networks import IMAGES, row

let_torchvision_be_imported()
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnx2torch")
TRAINABLE = '{"trainable": true}'


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(path: str, last=False, batch: int | str = "n", second=False, pool=None) -> None:
    """Write two convolutions, one with its weights in a node, a mean and a matrix product.

    last: channels are; second: there is an input "style" that scales the channels; pool: a node
    instead of the mean
    """
    make, array = onnx.helper, onnx.numpy_helper.from_array
    mean = make.make_node("ReduceMean", ["rich"], ["mean"], axes=[2, 3], keepdims=0)
    draw = np.random.default_rng(0).standard_normal
    weights = {
        "k": draw((4, 3, 3, 3)),
        "b": draw(4),
        "w": draw((6, 5)),
        "scale": draw((1, 6, 1, 1)),
    }
    weights = {name: array(values.astype(np.float32), name) for name, values in weights.items()}
    inner = array(draw((6, 4, 3, 3)).astype(np.float32) / 4)
    nodes = [
        make.make_node("Transpose", ["x"], ["t"], perm=[0, 3, 1, 2]),
        make.make_node("Conv", ["t" if last else "x", "k", "b"], ["first"], strides=[2, 2]),
        make.make_node("Relu", ["first"], ["relu"]),
        make.make_node("Constant", [], ["inner"], value=inner),
        make.make_node("Conv", ["relu", "inner"], ["second"]),
        make.make_node("Mul", ["second", "style" if second else "scale"], ["scaled"]),
        make.make_node("Relu", ["scaled"], ["rich"]),
        pool or mean,
        make.make_node("MatMul", ["mean", "w"], ["y"]),
    ][0 if last else 1 :]
    value = make.make_tensor_value_info
    shape = [batch, "h", "w", 3] if last else [batch, 3, "h", "w"]
    inputs = [value("x", 1, shape), *[value("style", 1, [1, 6, 1, 1])] * second]
    if second:
        del weights["scale"]
    graph = make.make_graph(nodes, "g", inputs, [value("y", 1, [batch, 5])], list(weights.values()))
    opset = [make.make_opsetid("", 13)]
    onnx.save(make.make_model(graph, opset_imports=opset, ir_version=8), path)


def features(chosen: Network) -> np.ndarray:
    network, layers = tap_network(chosen, 32)
    assert list(layers) == ["tapped"]
    return extract(network.extractor(), input_of(chosen, False), IMAGES, 2, "net")["tapped"]


@pytest.mark.parametrize(("last", "batch"), [(False, "n"), (True, "n"), (False, 3)])
def test_features_are_those_of_the_runtime(last, batch):
    write("net.onnx", last=last, batch=batch)
    expected = features(row("onnx", weights="net.onnx", layers="tapped=second"))
    network = load_network(row("onnx", weights="net.onnx", arguments=TRAINABLE))
    convolutions = [n for n, m in network.network.named_modules() if type(m).__name__ == "Conv2d"]
    chosen = row(
        "onnx", weights="net.onnx", layers=f"tapped={convolutions[1]}", arguments=TRAINABLE
    )
    np.testing.assert_allclose(features(chosen), expected, atol=1e-5)


def test_every_weight_is_trained():
    write("net.onnx")
    network = load_network(row("onnx", weights="net.onnx", arguments=TRAINABLE))
    assert network.trainable
    assert sum(p.numel() for p in network.parameters()) == 108 + 4 + 216 + 6 + 30
    network.requires_grad_()
    output = network.network(torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0)))
    output.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


def test_fine_tuning_reaches_the_network():
    write("net.onnx")
    kind, classes = "segmentation", ("a", "b")
    for arguments, trained in (("", False), (TRAINABLE, True)):
        encoder = load_network(row("onnx", weights="net.onnx", arguments=arguments))
        network = target_network(encoder, "block4", kind, classes, HeadConfig(width=4), 32, seed=0)
        network.train()(torch.rand(2, 3, 32, 32)).square().sum().backward()
        assert network.trains_encoder is trained
        reached = [p for p in network.encoder.parameters() if p.grad is not None]
        assert bool(reached) is trained


def test_other_inputs_are_numbers_of_the_row():
    write("net.onnx", second=True)
    with pytest.raises(ConfigError, match=r"has 2 inputs \(x, style\); .* into the column arg"):
        load_network(row("onnx", weights="net.onnx"))
    found = {}
    for size in (1, 2):
        style = [[[[size]], [[1]], [[1]], [[1]], [[1]], [[1]]]]
        text = f'{{"inputs": {{"style": {style}}}}}'
        found[size] = features(
            row("onnx", weights="net.onnx", layers="tapped=scaled", arguments=text)
        )
    # Positions come before channels.
    one, two = (found[size].reshape(len(IMAGES), -1, 6) for size in (1, 2))
    np.testing.assert_allclose(two[..., 0], 2 * one[..., 0], rtol=1e-5)
    np.testing.assert_array_equal(two[..., 1:], one[..., 1:])
    wrong = row("onnx", weights="net.onnx", arguments='{"inputs": {"colour": [1]}}')
    with pytest.raises(ConfigError, match="has no input colour; correct the name"):
        load_network(wrong)


def test_an_operation_that_the_converter_lacks_is_refused():
    write("net.onnx", pool=onnx.helper.make_node("Det", ["rich"], ["mean"]))
    load_network(row("onnx", weights="net.onnx"))
    with pytest.raises(ConfigError, match="onnx2torch cannot convert the network; leave train"):
        load_network(row("onnx", weights="net.onnx", arguments=TRAINABLE))


def test_another_network_is_refused(monkeypatch):
    write("net.onnx")
    chosen = row("onnx", weights="net.onnx", arguments=TRAINABLE)
    monkeypatch.setattr(onnx_torch.OnnxNetwork, "output", lambda *_: np.ones((2, 5), np.float32))
    with pytest.raises(ConfigError, match="onnx2torch's network of net.onnx differs"):
        load_network(chosen)
