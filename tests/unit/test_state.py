"""State dicts as people save them: found, freed of prefixes, fitted, and what is refused."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pytest
import torch
from taskrsa.errors import ConfigError, DataError
from taskrsa.networks.layers import choose
from taskrsa.networks.loading import layers_of, load_network
from taskrsa.networks.state import best_prefix, read_state
from torch import Tensor
from user_networks import Residual, row

State = dict[str, Tensor]
SEED = torch.Generator().manual_seed(3)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def state() -> State:
    made = Residual().state_dict()
    return {key: torch.rand(value.shape, generator=SEED) for key, value in made.items()}


def prefixed(state: State, prefix: str) -> State:
    return {f"{prefix}{key}": value for key, value in state.items()}


def loaded(payload: object) -> State:
    torch.save(payload, "net.pth")
    return load_network(row(weights="net.pth")).network.state_dict()


def other(state: State) -> State:
    return {key: value + 1 for key, value in state.items()}


LOOP = {"epoch": 3, "loss": np.float64(0.5), "args": argparse.Namespace(lr=1, out=Path("x"))}


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda state: state,
        lambda state: {"state_dict": state, **LOOP},
        lambda state: {"model_state_dict": state, "optimizer_state_dict": {"state": {}}},
        lambda state: {"params": state},
        lambda state: {"params": other(state), "params_ema": state},
        lambda state: {"net": state, "acc": 91.2},
        lambda state: {"model": other(state), "ema": state},
        lambda state: {"student": prefixed(other(state), "module."), "teacher": state},
        lambda state: {"checkpoint": {"state_dict": state}, "epoch": 3},
        lambda state: {"my_own_word": state, "loss": torch.tensor(0.1).item()},
        lambda state: {"state_dict": state, "loss": torch.tensor(0.1)},
        lambda state: state | {"loss": np.float64(0.5), "epoch": 3},
        lambda state: {"state_dict": state | {"loss": np.float64(0.5), "epoch": 3}},
        lambda state: prefixed(state, "module."),
        lambda state: prefixed(state, "model."),
        lambda state: prefixed(state, "_orig_mod."),
        lambda state: prefixed(state, "module._orig_mod.backbone."),
        lambda state: {"state_dict": prefixed(state, "backbone.") | {"decoder.w": torch.ones(3)}},
        lambda state: state | {"projector.0.weight": torch.ones(3)},
    ],
)
def test_weights_are_found_however_they_were_saved(state, wrapped, capsys):
    found = loaded(wrapped(state))
    for key, value in state.items():
        assert torch.equal(found[key], value), key
    if wrapped(state) is not state:
        assert "net: weights of net.pth: " in capsys.readouterr().out


def test_one_line_says_what_was_done(state, capsys):
    saved = prefixed(state, "module.") | {"module.fc.weight": torch.ones(2), "step": 7}
    del saved["module.head.bias"]
    loaded({"model": other(state), "ema": saved, "epoch": 1})
    lines = capsys.readouterr().out.splitlines()
    assert (
        "net: weights of net.pth: entry ema; not model; module. taken off the names; fc.weight, "
        "step left out; head.bias not in the file or of other sizes: as drawn" in lines
    )


def test_a_plain_state_dict_needs_no_line(state, capsys):
    loaded(state)
    assert "weights of" not in capsys.readouterr().out


@pytest.mark.parametrize("missing", [True, False])
def test_a_head_may_be_missing_or_of_other_size_and_is_no_layer_then(state, missing):
    before = load_network(row()).network.state_dict()
    for key in ("head.weight", "head.bias"):
        value = state.pop(key)
        if not missing:
            state[key] = torch.cat([value, value])
    found = loaded(state)
    assert torch.equal(found["layer2.0.conv1.weight"], state["layer2.0.conv1.weight"])
    assert torch.equal(found["head.weight"], before["head.weight"])
    network = load_network(row(weights="net.pth"))
    chosen = choose(layers_of(network, 32), row())
    assert chosen["last"].name != "head"
    with pytest.raises(ConfigError, match="head cannot be used: it has no weights in the file"):
        choose(layers_of(network, 32), row(layers="head"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s.pop("layer2.1.conv2.weight"), "missing layer2.1.conv2.weight"),
        (lambda s: s.update({"stem.weight": torch.ones(4, 3, 5, 5)}), "shape: stem.weight is"),
        # A deeper network of the same family has all weights of the shallower one.
        (
            lambda s: s.update({"layer2.3.conv1.weight": torch.ones(4, 4, 3, 3)}),
            "unexpected layer2.3.conv1.weight",
        ),
        (lambda s: s.update({"stem.bias": torch.full((4,), torch.nan)}), "not finite: stem.bias"),
    ],
)
def test_what_does_not_fit_is_refused(state, change, words):
    change(state)
    with pytest.raises(DataError, match=f"row net, weights: .*net.pth: does not fit .*{words}"):
        loaded({"state_dict": prefixed(state, "module.")})


def test_another_network_s_weights_are_refused():
    with pytest.raises(DataError, match="does not fit the network: missing .*; unexpected a, b"):
        loaded({"a": torch.ones(2), "b": torch.ones(3)})


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        ([1, 2], "holds no weights, but a list"),
        ({"epoch": 3}, "holds no weights, but epoch; save"),
        ({}, "holds no weights; save"),
        ({"state_dict": {}}, "holds no weights, but state_dict"),
        ({"a": {"b": {"c": {"d": {"e": {"f": torch.ones(2)}}}}}}, "holds no weights"),
    ],
)
def test_files_without_weights(folder, payload, words):
    torch.save(payload, "net.pth")
    with pytest.raises(DataError, match=words):
        read_state(folder / "net.pth")


def test_a_prefix_is_taken_off_where_that_fits_and_only_there():
    expected = dict.fromkeys(["model.a", "b"])
    assert best_prefix(["model.a", "b"], expected) == ""
    assert best_prefix(["module.model.a", "module.b"], expected) == "module."
    assert best_prefix(["x.model.a", "x.b"], expected) == ""
