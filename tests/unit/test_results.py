"""What a fine-tuning writes, and the entries that fine-tune, measure and submit."""

from __future__ import annotations

import json
import tarfile

import pandas as pd
import pytest
import torch
from finetune import main as finetune_entry
from labelled_files import write_devkit
from safetensors.torch import load_file
from small_targets import BANK, HEAD, KINDS, RECIPE, halves, network_of, with_
from submission import main as submit
from target_cost import main as target_cost
from taskrsa.errors import ConfigError
from taskrsa.networks.network import Network
from taskrsa.networks.target import HEAD_ONLY, WHOLE, target_header
from taskrsa.networks.weights import load_encoder, random_encoder, save_encoder
from taskrsa.targets.config import KINDS as BY_KIND
from taskrsa.targets.sets import write_sets
from taskrsa.training.results import Leg, finetune_to_files

BRIEF = with_(RECIPE, steps=2)
SMALL = {"family": "small", "width": 4, "reduction": 4}


def paths(folder, *names) -> dict[str, str]:
    return {name: str(folder / f"{name}.safetensors") for name in ("weights", *names)} | {
        name: str(folder / f"{name}.csv") for name in ("curve", "scores")
    }


@pytest.mark.parametrize("kind", KINDS)
def test_one_row_of_scores_and_a_curve(tmp_path, kind):
    data = halves(kind)
    where = paths(tmp_path, "encoder")
    net = network_of(kind, data.classes)
    progress = finetune_to_files("net", net, data, data, BRIEF, 5, where)
    scores, curve = (pd.read_csv(where[name]) for name in ("scores", "curve"))
    metric = BY_KIND[kind].metric
    row = scores.iloc[0]
    assert list(scores)[:8] == [
        "model", "seed", "tap", "trained", "metric", "score", "chance_score", "n_val",
    ]  # fmt: skip
    assert tuple(row[["model", "seed", "tap", "trained"]]) == ("net", 5, "compressed", WHOLE)
    assert row["metric"] == metric
    assert row["score"] == pytest.approx(progress.curve[-1][2], abs=1e-5)
    assert (row["n_val"], row["chance_score"] >= 0) == (12, True)
    by_class = [f"{metric.removeprefix('m')}_{name}" for name in data.classes]
    assert list(scores)[8:] == (by_class if len(by_class) > 1 else [])
    assert list(curve) == ["step", "train_loss", f"val_{metric}"]
    assert curve["step"].tolist() == [2]
    assert load_encoder(where["encoder"]).spec == net.encoder.encoder.spec
    assert {"settings", "curve", "scores", "encoder"} == set(
        target_header(where["weights"])["about"]
    )
    assert {path.name for path in tmp_path.iterdir()} == {
        "weights.safetensors", "encoder.safetensors", "curve.csv", "scores.csv",
    }  # fmt: skip


def test_the_score_of_the_probe_stands_beside_that_of_the_end(tmp_path):
    data, where = halves("classification"), paths(tmp_path)
    head = with_(HEAD, start="probe")
    net = network_of("classification", data.classes, BANK, "block4", head)
    progress = finetune_to_files("net", net, data, data, BRIEF, 5, where)
    scores, curve = (pd.read_csv(where[name]) for name in ("scores", "curve"))
    assert curve["step"].tolist() == [0, 2]
    assert curve["train_loss"].isna().tolist() == [True, False]
    assert scores["start_score"].item() == pytest.approx(progress.curve[0][2], abs=1e-5)
    assert scores["start_score"].item() == curve.iloc[0, -1]


def test_an_encoder_that_cannot_be_taken_out_is_refused_before_training(tmp_path):
    data = halves("segmentation")
    net = network_of(spec=BANK, tap="block4")
    with pytest.raises(ConfigError, match="has no compressed output to extract"):
        finetune_to_files("net", net, data, data, BRIEF, 0, paths(tmp_path, "encoder"))
    assert not list(tmp_path.iterdir())


# --- legs ---


def legs(folder, data, val, ends) -> dict[str, str]:
    """Train in legs that end at some steps; return where the last has written."""
    before, since, recipe = None, 0, with_(BRIEF, steps=ends[-1], checkpoint_steps=1)
    head = with_(HEAD, start="probe")
    for number, until in enumerate(ends, 1):
        is_last = number == len(ends)
        where = paths(folder / f"leg{number}")
        if not is_last:
            where["state"] = where.pop("weights").replace(".safetensors", ".state")
        leg = Leg(since, until, before, val if is_last else None)
        net = network_of("classification", data.classes, BANK, "block4", head)
        finetune_to_files("net", net, data, data, recipe, 5, where, leg)
        before, since = where.get("state"), until
    return where


@pytest.mark.parametrize("ends", [[2, 5, 7], [2, 7, 7]])  # two in full until the end
def test_legs_make_the_weights_of_one_training(tmp_path, ends):
    data, val = halves("classification"), halves("classification", 9, 1, "val")
    straight, parts = (legs(tmp_path / n, data, val, e) for n, e in (("a", [7]), ("b", ends)))
    one, other = (load_file(where["weights"]) for where in (straight, parts))
    assert all(torch.equal(one[name], other[name]) for name in one)
    scores = [pd.read_csv(where["scores"]) for where in (straight, parts)]
    assert scores[0].equals(scores[1])
    assert scores[0]["n_val"].item() == len(val)
    curve = pd.read_csv(parts["curve"])
    assert curve["step"].tolist() == [0, *dict.fromkeys(ends)]
    assert "start_score" not in scores[1]
    names = {path.name for path in (tmp_path / "b/leg2").iterdir()}
    assert names == {"weights.state", "curve.csv", "scores.csv"}


def test_a_leg_goes_on_from_the_state_before_and_else_starts_over(tmp_path, capsys):
    data = halves("classification")
    legs(tmp_path, data, data, [2, 4])
    assert "training continues from step 2" in capsys.readouterr().out
    expected = load_file(tmp_path / "leg2/weights.safetensors")
    before = tmp_path / "leg1/weights.state"
    before.write_bytes(before.read_bytes()[:-9])
    head = with_(HEAD, start="probe")
    where, net = paths(tmp_path), network_of("classification", data.classes, BANK, "block4", head)
    recipe = with_(BRIEF, steps=4, checkpoint_steps=1)
    finetune_to_files("net", net, data, data, recipe, 5, where, Leg(2, 4, str(before), data))
    assert f"{before}: is damaged; training starts over" in capsys.readouterr().out
    found = load_file(where["weights"])
    assert all(torch.equal(expected[name], found[name]) for name in expected)


# --- entries ---


@pytest.fixture
def data(tmp_path):
    """A prepared target."""
    write_sets(tmp_path / "data.h5", [halves("values"), halves("values", 5, 1, "val")])
    return str(tmp_path / "data.h5")


def options(folder, **more) -> dict:
    where = paths(folder)
    return {
        "head": HEAD.model_dump(mode="json"),
        "recipe": BRIEF.model_dump(mode="json"),
        "seed": 3,
        "output_weights": where["weights"],
        "curve": where["curve"],
        "scores": where["scores"],
        **more,
    }


def test_the_entry_starts_from_a_spec_or_a_row(tmp_path, data):
    for name in ("spec", "row"):
        (tmp_path / name).mkdir()
    encoder = random_encoder(BANK, 0)
    save_encoder(tmp_path / "bank.safetensors", encoder)
    row = json.loads(Network("net", "net", "", "trained").to_json())
    finetune_entry("small", data, **options(tmp_path / "spec", encoder=SMALL, n_train=6))
    weights = str(tmp_path / "bank.safetensors")
    more = {"row": row, "weights": weights, "tap": "block4"}
    finetune_entry("net", data, **options(tmp_path / "row", **more))
    found = [pd.read_csv(tmp_path / name / "scores.csv").iloc[0] for name in ("spec", "row")]
    assert [row["tap"] for row in found] == ["compressed", "block4"]
    assert [row["metric"] for row in found] == ["error_removed"] * 2
    assert {"error_removed_left", "error_removed_right"} <= set(found[0].index)
    for wrong in ({}, {"row": row, "encoder": SMALL}):
        with pytest.raises(ConfigError, match="give either row or the spec of an encoder"):
            finetune_entry("net", data, **options(tmp_path, **wrong))


def test_the_entry_gives_the_same_bytes_again(tmp_path, data):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        finetune_entry("small", data, **options(tmp_path / name, encoder=SMALL))
    for file in (tmp_path / "one").iterdir():
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes()


def test_what_the_whole_bank_would_take(tmp_path, data):
    save_encoder(tmp_path / "bank.safetensors", random_encoder(BANK, 0))
    row = json.loads(Network("net", "net", "", "trained").to_json())
    recipe = with_(RECIPE, steps=50).model_dump(mode="json")
    target_cost(
        {"net": row, "other": row | {"name": "other"}},
        [str(tmp_path / "bank.safetensors")] * 2,
        data,
        HEAD.model_dump(mode="json"),
        recipe,
        3,
        str(tmp_path / "cost.csv"),
        tap="block4",
    )
    cost = pd.read_csv(tmp_path / "cost.csv")
    assert cost["model"].tolist() == ["net", "other"]
    assert set(cost["trained"]) <= {WHOLE, HEAD_ONLY}
    assert (cost["seconds"] >= 3 * 50 * cost["seconds_per_step"] * 0.999).all()


def test_a_submission_from_a_trained_network(tmp_path):
    target = halves("segmentation")
    where = paths(tmp_path)
    finetune_to_files("net", network_of(), target, target, BRIEF, 0, where)
    images = [(f"t{at}", target.images[at], target.labels[at]) for at in range(3)]
    kit = write_devkit(tmp_path / "kit", {"test": ["t0", "t2"]}, images, target.classes)
    submit(where["weights"], str(kit), "test", str(tmp_path / "out.tar"))
    with tarfile.open(tmp_path / "out.tar") as tar:
        assert [name.rpartition("/")[2] for name in tar.getnames()] == ["t0.png", "t2.png"]
