"""The start of a head: its first answers are those of a probe, and fine-tuning keeps them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import RidgeCV
from small_targets import BANK, HEAD, KINDS, RECIPE, halves, network_of, scenes, with_
from taskrsa.errors import DataError
from taskrsa.networks.target import load_target, target_bytes
from taskrsa.recipes import FinetuneConfig
from taskrsa.training.finetuning import finetune
from taskrsa.training.head_start import PENALTIES, cells_of, places_of, probe, start_at_probe
from taskrsa.training.objectives import OBJECTIVES

PROBE = with_(HEAD, start="probe")


def network(kind: str, data, head=PROBE, seed: int = 0):
    return network_of(kind, data.classes, BANK, "block4", head, seed, side=data.image(0).shape[0])


def linear(net, weight: np.ndarray, bias: np.ndarray):
    """Return what a probe says of images, as (N, K) or, of maps, (N, K, H, W)."""

    @torch.no_grad()
    def answer(images):
        features = net.features(images).double()
        if not net.is_dense:
            features = features.mean((2, 3), keepdim=True)
        kernel = torch.from_numpy(weight)[..., None, None]
        values = torch.nn.functional.conv2d(features, kernel, torch.from_numpy(bias))
        if not net.is_dense:
            return values[:, :, 0, 0]
        size = images.shape[2:]
        return torch.nn.functional.interpolate(values, size, mode="bilinear", align_corners=False)

    return answer


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_score_is_the_probe_s(kind):
    data, val = halves(kind, 16), halves(kind, 24, 1, "val")
    net = network(kind, data).eval()
    places = places_of(net, data, seed=3)
    start_at_probe(net, data, seed=3)
    answer = linear(net, *probe(places, kind in ("segmentation", "classification"), seed=3))
    images = torch.stack([torch.from_numpy(val.image(i)) for i in range(len(val))])
    shown = images.permute(0, 3, 1, 2).float() / 255 * 2 - 1
    with torch.no_grad():
        assert torch.allclose(net(shown).double(), answer(shown), atol=1e-3)
    objective, expected = OBJECTIVES[kind], answer(shown)
    found = objective.evaluate(net, val)
    labels = np.stack([val.label(i) for i in range(len(val))])
    if kind == "classification":
        assert found.value == (expected.argmax(1).numpy() == labels).mean()
    elif kind == "segmentation":
        ids = expected.argmax(1).numpy()
        shares = [((ids == k) & (labels == k)).sum() / ((ids == k) | (labels == k)).sum()
                  for k in (0, 1)]  # fmt: skip
        assert found.value == pytest.approx(np.mean(shares), abs=1e-6)
    else:
        errors = np.abs(expected.numpy().reshape(labels.shape) - labels)
        axes = (0, 1, 2) if net.is_dense else 0
        removed = 1 - errors.sum(axes) / np.abs(labels).sum(axes)
        assert found.value == pytest.approx(removed.mean(), abs=1e-4)
    assert found.value > objective.chance(data, val) + 0.2


@pytest.mark.parametrize("n", [16, 200])
def test_the_probe_is_ridge_regression_whether_places_or_features_are_more(n):
    rng = np.random.default_rng(0)
    data = halves("values", n)
    net = network("values", data)
    places = replace(places_of(net, data, 0), features=5 + 3 * rng.normal(size=(n, 64)))
    weight, bias = probe(places, of_classes=False, seed=1)
    x = places.features - places.features.mean(0)
    x /= np.sqrt(np.mean(x**2))
    ours = places.features @ weight.T + bias
    # One of the penalties, without anything that makes it faster.
    errors = [
        np.abs(RidgeCV([penalty * n]).fit(x, places.values).predict(x) - ours).max()
        for penalty in PENALTIES
    ]
    assert min(errors) < 1e-8


def test_outputs_of_classes_are_as_sharp_as_the_probe_is_right():
    rng = np.random.default_rng(0)
    data = halves("classification", 60)
    places = places_of(network("classification", data), data, 0)
    told = replace(places, features=np.c_[places.values[:, 0], rng.normal(size=(60, 3))])
    guessed = replace(places, features=rng.normal(size=(60, 4)))
    spreads = []
    for one in (told, guessed):
        weight, bias = probe(one, True, 0)
        spreads.append(np.ptp(one.features @ weight.T + bias, axis=1).mean())
    assert spreads[0] > 5 > 1 > spreads[1]


def test_labels_of_positions_are_shares_and_means():
    data = halves("segmentation")
    net = network("segmentation", data)
    label = np.array([[0, 0, 1, 255], [0, 1, 1, 255], [1, 1, 255, 255], [1, 1, 255, 255]])
    found = cells_of(net, label.astype(np.uint8), (2, 2))
    assert found.tolist()[:3] == [[0.75, 0.25], [0, 1], [0, 1]]
    assert np.isnan(found[3]).all()
    maps = network("regression", halves("regression"))
    values = np.array([[1, 3], [np.nan, 5], [np.nan, np.nan], [2, 2]], np.float32)
    assert cells_of(maps, values, (2, 1)).tolist() == [[3], [2]]
    # Filled up to what the strides divide: the second row of positions sees two rows of pixels.
    assert net.multiple == 4
    rows = np.repeat(np.array([0, 1], np.uint8), (4, 2))[:, None].repeat(4, 1)
    assert cells_of(net, rows, (2, 1)).tolist() == [[1, 0], [0, 1]]
    half = network("segmentation", data, with_(PROBE, input_scale=0.5))
    assert cells_of(half, rows.repeat(2, 0).repeat(2, 1), (2, 1)).tolist() == [[1, 0], [0, 1]]


def with_statistics(net, data):
    """Give an encoder's normalisation the statistics of data, as pretrained ones have them."""
    images = torch.stack([torch.from_numpy(data.image(i)) for i in range(len(data))])
    shown = images.permute(0, 3, 1, 2).float() / 255 * 2 - 1
    net.encoder.train()
    with torch.no_grad():
        for _ in range(60):
            net.features(shown)
    net.encoder.eval()
    return net


@pytest.mark.parametrize("kind", KINDS)
def test_after_few_steps_on_few_labels_it_is_better_than_a_head_at_random(kind):
    data, val = halves(kind, 8), halves(kind, 32, 9, "val")
    recipe = with_(RECIPE, steps=4, batch_size=8, learning_rate=FinetuneConfig().learning_rate)

    def score(head, seed):
        net = with_statistics(network(kind, data, head, seed), halves(kind, 32, 5))
        return finetune(net, data, val, recipe, seed)[1].curve[-1][2]

    # One encoder at random of four happens to separate the classes of such images at once.
    probed, random = (np.mean([score(head, seed) for seed in range(4)]) for head in (PROBE, HEAD))
    assert probed > random + 0.1


@pytest.mark.parametrize("kind", ["segmentation", "values"])
def test_it_repeats_itself_and_its_file_rebuilds_it(tmp_path, kind):
    data = scenes()[0] if kind == "segmentation" else halves(kind)
    made = []
    for _ in range(2):
        net = network(kind, data)
        start_at_probe(net, data, 5)
        made.append(target_bytes(net))
    assert made[0] == made[1]
    (tmp_path / "net.safetensors").write_bytes(made[0])
    loaded = load_target(tmp_path / "net.safetensors")
    shown = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(loaded(shown), net.eval()(shown))


def test_a_head_at_random_has_no_other_parameters():
    data = halves("segmentation")
    random, probed = (network("segmentation", data, head).head for head in (HEAD, PROBE))
    assert set(probed.state_dict()) - set(random.state_dict()) == {"linear.weight", "linear.bias"}
    same = [name for name in random.state_dict() if not name.startswith("classifier")]
    assert all(torch.equal(random.state_dict()[k], probed.state_dict()[k]) for k in same)


def test_features_that_are_not_finite_are_named():
    data = halves("values")
    net = network("values", data)
    with torch.no_grad():
        next(net.encoder.parameters()).fill_(np.nan)
    with pytest.raises(DataError, match="features at block4 are not finite; set head"):
        start_at_probe(net, data, 0)
