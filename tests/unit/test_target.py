"""What is learnt of a target of the user's own: losses, scores, and networks with new heads."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from taskrsa.errors import ConfigError
from taskrsa.networks.segmentation import HeadSpec
from taskrsa.networks.table import network as bank_row
from taskrsa.networks.target import as_map, row_network, small_network, target_bytes, target_header
from taskrsa.targets.labelled import LabelledSet
from taskrsa.training.finetuning import Recipe, fine_tune
from taskrsa.training.goals import floor, goal_of, seconds_of_training, target_settings
from torch import nn

SIDE = 16
HEAD = HeadSpec(width=8, rates=(1, 2), image_pooling=False)
SMALL = {"family": "small", "width": 8, "reduction": 4}
# Not mirrored: which half is bright is the class.
PLAN = Recipe(
    steps=40,
    batch_size=4,
    crop=SIDE,
    learning_rate=0.01,
    scale=(1, 1),
    flip=False,
    precision="no",
    device="cpu",
)


def labelled(kind: str, n: int = 12, seed: int = 0) -> LabelledSet:
    """Return images whose brightness by halves is all there is to learn."""
    rng = np.random.default_rng(seed)
    bright = rng.random((n, 2)) > 0.5
    bright[:2] = [[True, False], [False, True]]
    images = np.repeat(bright, SIDE // 2, axis=1)[:, None, :, None] * 160 + 20
    images = np.broadcast_to(images, (n, SIDE, SIDE, 3)).astype(np.uint8)
    images = images + rng.integers(0, 20, images.shape, dtype=np.uint8)
    dense = np.repeat(np.repeat(bright, SIDE // 2, axis=1)[:, None], SIDE, axis=1)
    labels = {
        "segmentation": dense.astype(np.uint8),
        "classification": bright[:, 0].astype(np.uint8),
        "regression": dense.astype(np.float32) * 2 - 1,
    }[kind]
    classes = ("value",) if kind == "regression" else ("dark", "bright")
    return LabelledSet(kind, "train", classes, tuple(map(str, range(n))), images, labels)


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


def row(loader: str, **more):
    cells = {"name": "net", "loader": loader, "mean": "0.5", "std": "0.5", "channels": "rgb"}
    return bank_row({**cells, "size": str(SIDE), **more})


@pytest.fixture
def made(monkeypatch):
    """Return a function that makes a module of networks importable, and the row of one of them."""
    import sys
    import types

    module = types.ModuleType("nets_of_a_user")
    module.ConvNet, module.Tokens, module.Vectors = ConvNet, Tokens, Vectors
    monkeypatch.setitem(sys.modules, "nets_of_a_user", module)
    return lambda name: row(f"nets_of_a_user:{name}")


def trained(network, data: LabelledSet, seed: int = 0, plan: Recipe = PLAN):
    return fine_tune(network, data, data, plan, seed, goal=goal_of(data.kind))


KINDS = ("segmentation", "classification", "regression")


@pytest.mark.parametrize("kind", KINDS)
def test_the_small_model_learns_and_repeats_itself(kind):
    data = labelled(kind)
    networks = [small_network(SMALL, kind, data.classes, HEAD, SIDE, 1) for _ in range(2)]
    (first, progress), (second, again) = (trained(network, data) for network in networks)
    assert progress.curve[-1][2] > floor(data, data) + 0.2
    assert progress.curve == again.curve
    for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_weights_are_a_function_of_the_seed(made):
    def check(make):
        states = []
        for seed in (1, 1, 2):
            torch.rand(1)  # whatever was drawn before must not count
            states.append(make(seed))
        one, another, other = states
        for a, b in zip(one.values(), another.values(), strict=True):
            assert torch.equal(a, b)
        assert any(not torch.equal(one[key], other[key]) for key in one)

    more = ("segmentation", ("a", "b"), HEAD, SIDE)
    check(lambda seed: small_network(SMALL, *more, seed).encoder.state_dict())
    check(lambda seed: small_network(SMALL, *more, seed).head.state_dict())
    check(lambda seed: row_network(made("ConvNet"), None, *more, seed).head.state_dict())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["ConvNet", "Tokens"])
def test_a_network_of_the_user_s_own_learns(made, name, kind):
    data = labelled(kind)
    network = row_network(made(name), None, kind, data.classes, HEAD, SIDE, 0)
    before = {key: value.clone() for key, value in network.encoder.state_dict().items()}
    network, progress = trained(network, data)
    assert progress.curve[-1][2] > floor(data, data) + 0.1
    changed = [k for k, v in network.encoder.state_dict().items() if not torch.equal(v, before[k])]
    assert any("weight" in key for key in changed)


def test_an_onnx_network_gets_a_trained_head(tmp_path):
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
    data = labelled("segmentation")
    onnx = row("onnx", weights=str(tmp_path / "net.onnx"))
    network = row_network(onnx, None, data.kind, data.classes, HEAD, SIDE, 0)
    assert not network.trains_encoder
    head = {key: value.clone() for key, value in network.head.state_dict().items()}
    shown = torch.rand(2, 3, SIDE, SIDE) * 2 - 1
    features = network.features(shown)
    network, progress = trained(network, data)
    assert progress.curve[-1][2] > floor(data, data) + 0.1
    assert torch.equal(network.features(shown), features)
    assert not any(weight.requires_grad for weight in network.encoder.parameters())
    changed = [k for k, v in network.head.state_dict().items() if not torch.equal(v, head[k])]
    assert any("weight" in key for key in changed)


def test_a_map_needs_a_layer_with_positions(made):
    with pytest.raises(ConfigError, match="net has no layer with positions before its head"):
        row_network(made("Vectors"), None, "regression", ("value",), HEAD, SIDE, 0)
    network = row_network(made("Vectors"), None, "classification", ("a", "b"), HEAD, SIDE, 0)
    assert network(torch.zeros(2, 3, SIDE, SIDE)).shape == (2, 2)


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


@pytest.mark.parametrize("batch_norm", ["frozen", "free"])
def test_statistics_can_be_frozen(made, batch_norm):
    data = labelled("classification")
    plan = Recipe(steps=3, batch_size=4, crop=SIDE, batch_norm=batch_norm, device="cpu")
    network = row_network(made("ConvNet"), None, data.kind, data.classes, HEAD, SIDE, 0)
    before = network.encoder.network.body[1].running_mean.clone()
    network, _ = trained(network, data, plan=plan)
    after = network.encoder.network.body[1].running_mean
    assert torch.equal(after, before) == (batch_norm == "frozen")


def test_frozen_statistics_outlast_a_change_of_mode(made):
    data = labelled("classification")
    network = row_network(made("ConvNet"), None, data.kind, data.classes, HEAD, SIDE, 0)
    norm = network.encoder.network.body[1]
    network.train()
    assert norm.training
    network.freeze_statistics(True)
    assert not norm.training
    assert network.head.training
    network.eval()
    network.train()
    assert not norm.training
    network.freeze_statistics(False)
    assert norm.training


def test_the_floor_is_the_best_constant_answer():
    def like(kind, labels):
        labels = np.array(labels)
        shape = (len(labels), SIDE, SIDE, 3)
        names = tuple(map(str, range(len(labels))))
        return LabelledSet(kind, "val", ("a", "b", "c"), names, np.zeros(shape, np.uint8), labels)

    train = like("classification", [0, 1, 1])
    assert floor(train, like("classification", [1, 1, 0, 2])) == pytest.approx(0.5)
    train = like("segmentation", [[[1, 1], [1, 255]]])
    # IoU of class 1 is 2 of 3 pixels, that of class 0 nothing.
    val = like("segmentation", [[[1, 1], [0, 255]]])
    assert floor(train, val) == pytest.approx((2 / 3 + 0) / 2)
    assert floor(labelled("regression"), labelled("regression")) == 0


def test_losses_leave_out_what_is_not_known():
    values = torch.tensor([[[[1.0, 5.0]]]])
    labels = torch.tensor([[[3.0, torch.nan]]])
    loss = goal_of("regression").loss
    assert loss(values, labels, float("nan")).item() == 2
    assert loss(values, labels * torch.nan, float("nan")).item() == 0
    # What is not known must not spoil the gradient either.
    values.requires_grad_()
    loss(values, labels, float("nan")).backward()
    assert values.grad.tolist() == [[[[-1, 0]]]]
    scores = torch.tensor([[[[0.0, 9.0]], [[0.0, -9.0]]]])
    loss = goal_of("segmentation").loss
    assert loss(scores, torch.tensor([[[1, 255]]]), 255).item() == pytest.approx(np.log(2))
    assert loss(scores, torch.tensor([[[255, 255]]]), 255).item() == 0
    assert goal_of("classification").loss(torch.zeros(1, 4), torch.tensor([1]), 255).item() == (
        pytest.approx(np.log(4))
    )


def test_scores_against_their_definitions():
    class Fixed(nn.Module):
        input_channels = 3

        def __init__(self, outputs):
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(1))
            self.outputs = outputs

        def forward(self, images):
            return self.outputs[: len(images)]

    images = np.zeros((4, SIDE, SIDE, 3), np.uint8)
    ids = tuple("abcd")
    data = LabelledSet(
        "classification", "val", ("a", "b", "c"), ids, images, np.array([0, 0, 1, 1])
    )
    scores = torch.eye(3)[torch.tensor([0, 1, 1, 1])]
    found = goal_of("classification").evaluate(Fixed(scores), data)
    assert found.value == 0.75
    assert found.by_class[:2] == (0.5, 1)
    assert np.isnan(found.by_class[2])
    labels = np.array([1.0, -1, 2, np.nan], np.float32).reshape(4, 1, 1)
    data = LabelledSet("regression", "val", ("value",), ids, images, labels)
    values = torch.tensor([1.0, 0, 1, 9]).view(4, 1, 1, 1)
    found = goal_of("regression").evaluate(Fixed(values), data)
    assert found.value == pytest.approx(1 - (0 + 1 + 1) / (1 + 1 + 2))


@pytest.mark.parametrize("kind", KINDS)
def test_scores_of_a_network_against_numpy(kind):
    # More images than are scored at a time; some of the labels are not known.
    data = labelled(kind, 19, seed=1)
    labels = data.labels.copy()
    if kind != "classification":
        labels[:, :5, 3:] = data.void
        labels[4] = data.void
    data = LabelledSet(kind, "val", data.classes, data.ids, data.images, labels)
    network = small_network(SMALL, kind, data.classes, HEAD, SIDE, 3)
    found = goal_of(kind).evaluate(network, data)
    images = torch.from_numpy(data.images).permute(0, 3, 1, 2) / 127.5 - 1
    with torch.no_grad():
        outputs = network.eval()(images).numpy()
    if kind == "regression":
        known = ~np.isnan(labels)
        error = np.abs(outputs[:, 0] - labels)[known].mean()
        expected = 1 - error / np.abs(labels[known]).mean()
    elif kind == "classification":
        expected = (outputs.argmax(1) == labels).mean()
    else:
        ious = []
        answer, known = outputs.argmax(1), labels != data.void
        for name in range(2):
            both = ((answer == name) & (labels == name) & known).sum()
            ious.append(both / (((answer == name) | (labels == name)) & known).sum())
        assert found.by_class == pytest.approx(ious, abs=1e-6)
        expected = np.mean(ious)
    assert found.value == pytest.approx(expected, abs=1e-5)
    assert found.n_images == 19


def test_what_decides_a_training_is_told_apart(made):
    data = labelled("classification")
    network = row_network(made("ConvNet"), None, data.kind, data.classes, HEAD, SIDE, 0)
    one = target_settings(network, data, data, PLAN, 0, {"row": "a"})
    assert one == target_settings(network, data, data, PLAN, 0, {"row": "a"})
    for other in (
        target_settings(network, data, data, PLAN, 1, {"row": "a"}),
        target_settings(network, data, data, PLAN, 0, {"row": "b"}),
        target_settings(network, data.first(5), data, PLAN, 0, {"row": "a"}),
    ):
        assert other != one


def test_weights_are_kept_with_what_they_predict(made, tmp_path):
    data = labelled("classification")
    network = row_network(made("ConvNet"), None, data.kind, data.classes, HEAD, SIDE, 0)
    (tmp_path / "w.safetensors").write_bytes(target_bytes(network, {"settings": "key"}))
    header = target_header(tmp_path / "w.safetensors")
    assert header["classes"] == ["dark", "bright"]
    assert header["about"] == {"settings": "key"}
    from safetensors.torch import load_file

    network.load_state_dict(load_file(tmp_path / "w.safetensors"))


def test_seconds_are_measured(made):
    data = labelled("classification")
    step, besides = seconds_of_training(
        lambda: row_network(made("ConvNet"), None, data.kind, data.classes, HEAD, SIDE, 0),
        data, data, PLAN, 0, steps=3,
    )  # fmt: skip
    assert step > 0
    assert besides >= 0
