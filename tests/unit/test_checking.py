"""The bank is checked as a whole before anything trains; jobs read what was found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from taskrsa.errors import ConfigError
from taskrsa.networks.table import network
from taskrsa.plan.checking import Checked, checker
from taskrsa.plan.config import parse
from taskrsa.plan.networks import bank_of
from test_plan import bank, factory, plan  # noqa: F401

NETWORKS = """
import os, sys
import parts_of_mine.blocks as blocks
from torch import nn

def make(depth=7):
    return nn.Sequential(*(blocks.block(3 if not n else 4) for n in range(depth)), nn.Flatten(),
                         nn.Linear(4 * 32 * 32, 2))

def exits():
    sys.exit(0)

def dies():
    os._exit(0)
"""
BLOCKS = """
from torch import nn

def block(inputs):
    return nn.Conv2d(inputs, 4, 3, padding=1)
"""


class Fetched:
    """Weights of addresses, none of which is fetched."""

    def path(self, name: str) -> str:
        return f"absent/{name}"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nets_of_mine.py").write_text(NETWORKS)
    (tmp_path / "parts_of_mine").mkdir()
    (tmp_path / "parts_of_mine/__init__.py").write_text("")
    (tmp_path / "parts_of_mine/blocks.py").write_text(BLOCKS)
    return tmp_path


def rows(**loaders: str | dict) -> dict:
    cells = {"mean": "0.5", "std": "0.5", "channels": "rgb", "size": "32"}
    made = {}
    for name, loader in loaders.items():
        more = loader if isinstance(loader, dict) else {"loader": f"nets_of_mine:{loader}"}
        made[name] = network({"name": name, "label": "", "type": ""} | cells | more)
    return made


def config(**keys):
    return parse({"run": "mine", "image_size": 32, "stimuli": {"source": "simulated"}} | keys)[0]


def test_all_that_cannot_be_used_is_told_at_once_and_nothing_ends_the_check(folder, capsys):
    torch.save({"a": torch.ones(2)}, "other.pth")
    np.savez(folder / "brain.npz", v1=np.arange(6.0), it=np.arange(6.0)[::-1])
    empty = {"mean": "", "std": "", "channels": "", "size": ""}
    read = rows(
        one="make",
        two={"loader": "nets_of_mine:make", "layers": "early=0 last=6"},
        shallow={"loader": "nets_of_mine:make", "arguments": '{"depth": 2}'},
        exits="exits",
        dies="dies",
        wrong={"loader": "nets_of_mine:make", "weights": "other.pth"},
        missing={"loader": "nets_of_mine:make", "weights": "absent.pth"},
        unnamed={"loader": "nets_of_mine:make", "layers": "no_such"},
        brain={"loader": "rdms", "weights": "brain.npz", **empty},
        far={
            "loader": "nets_of_mine:make",
            "weights": "https://there.org/a.pth",
            "sha256": "ab" * 32,
        },
    )
    found = checker("kept", is_made=True)(config(), read, Fetched())
    reasons = {name: one.reason for name, one in found.items() if one.reason}
    expected = {
        "exits": "row exits, loader: nets_of_mine:exits fails (SystemExit: 0",
        "dies": "row dies, loader: ends the process that loads it (exit code 0)",
        "wrong": "row wrong, weights: other.pth: does not fit the network: missing 0.bias",
        "missing": "row missing, weights: there is no file absent.pth",
        "unnamed": "row unnamed, layers: nothing is named no_such; there are",
    }
    assert reasons.keys() == expected.keys()
    for name, words in expected.items():
        assert f"bank, {words}" in reasons[name], reasons[name]
        assert "\n" not in reasons[name]
    assert found["two"].layers == ("early", "last")
    assert found["shallow"].layers == ("depth1", "last")
    assert found["brain"].layers == ("depth1", "last")
    assert "far" not in found
    files = ("nets_of_mine.py", "parts_of_mine/__init__.py", "parts_of_mine/blocks.py")
    assert found["one"].files == files

    with pytest.raises(ConfigError) as error:
        bank_of(config(), "run", read, (), found)
    first, *lines = str(error.value).splitlines()
    assert first.startswith("5 of 10 networks cannot be used; fix or remove their rows, or set")
    assert lines == [f"  {reasons[name]}" for name in read if name in reasons]
    made = bank_of(config(skip_broken=True), "run", read, (), found)
    assert [*made.networks] == ["one", "two", "shallow", "brain", "far"]
    assert dict(made.left_out) == {name: reasons[name] for name in read if name in reasons}
    # What the check saw counts, not what `auto` says of any network.
    assert made.at("depth2") == ["one", "far"]
    assert made.at("depth1") == ["one", "shallow", "brain", "far"]

    # Jobs know what the run knows and load nothing.
    capsys.readouterr()
    of_job = checker("kept", is_made=False)(config(skip_broken=True), read, Fetched())
    assert of_job == {name: found[name] for name in read if name in found}
    # A dry run does not hold what may be mended against a row.
    dry = checker("kept", is_made=False)(config(), read, Fetched())
    assert {name for name, one in dry.items() if one.reason} == {"missing"}
    assert "checking" not in capsys.readouterr().err


def test_only_what_has_changed_is_checked_again(folder, capsys):
    read = rows(one="make", two={"loader": "nets_of_mine:make", "layers": "early=0 last=6"})
    check = checker("kept", is_made=True)
    found = check(config(), read, Fetched())
    assert capsys.readouterr().err == "checking one, two\n"
    assert check(config(), read, Fetched()) == found
    assert capsys.readouterr().err == ""
    changed = read | rows(two={"loader": "nets_of_mine:make", "layers": "early=1 last=6"})
    check(config(), changed, Fetched())
    assert capsys.readouterr().err == "checking two\n"
    (folder / "parts_of_mine/blocks.py").write_text(BLOCKS + "# changed\n")
    known = checker("kept", is_made=False)(config(), changed, Fetched())
    # A dry run still knows which files these are, so that the change is seen.
    assert known["one"] == Checked(files=found["one"].files)
    (folder / "kept/mine.json").write_text("{half")
    assert checker("kept", is_made=False)(config(), changed, Fetched())["one"] == Checked()


def test_the_plan_has_no_cost_where_all_is_fine_tuned(bank):  # noqa: F811
    table = bank(factory("one"), factory("two"))
    for how, there in [("none", True), ("top3", True), ("all", False)]:
        target = {"kind": "classification", "path": "x", "finetune": how}
        found = plan(networks=table, stimuli={"source": "simulated"}, targets={"mine": target})
        tables = found.targets["mine"].tables()
        assert any(path.endswith("cost.csv") for path in tables) == there


def test_rows_that_lack_the_layer_of_rankings_are_told_together(bank):  # noqa: F811
    table = bank(*(factory(name, layers=f"{at}=conv1") for name, at in LACKING))
    with pytest.raises(ConfigError) as error:
        plan(networks=table, stimuli={"source": "simulated"})
    lines = str(error.value).splitlines()
    assert lines[0].startswith("2 of 4 networks cannot be used")
    assert [line.split(":")[0] for line in lines[1:]] == [
        "  bank, row two, layers",
        "  bank, row four, layers",
    ]
    found = plan(networks=table, stimuli={"source": "simulated"}, skip_broken=True)
    assert [*found.bank.networks] == ["one", "three"]


LACKING = [("one", "last"), ("two", "depth1"), ("three", "last"), ("four", "depth1")]
