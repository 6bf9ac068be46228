"""A race as a user runs it: rounds, the winner's weights, nothing done twice."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys

import pytest
import torch
from conftest import Project, copy_project
from safetensors.torch import load_file
from taskrsa.plan.plan import make_plan
from taskrsa.transferability.race import Round
from taskrsa.transferability.race_table import outcome
from test_target_run import CONFIG, RUN, table, with_target, write_config

pytestmark = pytest.mark.workflow

RACE = {"finetune": "race", "budget": 2, "recipe": {"steps": 12, "batch_size": 4, "device": "cpu"}}
RACE["stimuli"] = "bank"
ROUNDS = [Round(4, 0, 2), Round(2, 2, 8), Round(1, 8, 12)]


def folder(project: Project):
    return project.path / "results/mine/targets/kinds"


@pytest.fixture(scope="module")
def ran(tmp_path_factory) -> Project:
    project = with_target(copy_project(tmp_path_factory.mktemp("race") / "project"))
    write_config(project, **RACE)
    project.snakemake(*RUN)
    return project


def test_half_go_on_until_one_is_left_within_the_budget(ran):
    race, ranking = table(ran, "kinds/race"), table(ran, "kinds/ranking")
    assert race.groupby("round")["steps"].first().tolist() == [one.until for one in ROUNDS]
    assert race["round"].value_counts(sort=False).tolist() == [one.entrants for one in ROUNDS]
    assert set(race.loc[race["round"] == 1, "model"]) == set(ranking["model"])
    for number in (1, 2):
        here, after = (race[race["round"] == n] for n in (number, number + 1))
        goes_on = here["survives"] == "yes"
        assert set(here.loc[goes_on, "model"]) == set(after["model"])
        assert here.loc[goes_on, "score"].min() >= here.loc[~goes_on, "score"].max()
    found = outcome(race)
    assert found.cost == sum(one.cost for one in ROUNDS) / 12 <= RACE["budget"]
    assert found.winner != found.runner_up
    assert found.margin >= 0


def test_scores_are_of_the_winner_on_images_that_decided_nothing(ran):
    scores, race = table(ran, "kinds/scores"), table(ran, "kinds/race")
    images = table(ran, "kinds/images")
    assert scores["model"].tolist() == [outcome(race).winner, "small"]
    n_train, n_val = ((images["split"] == role).sum() for role in ("train", "val"))
    assert set(scores["n_val"]) == {n_val}
    # Of the training images of each class, val_share decides.
    assert set(race["n_val"]) == {3 * round(0.25 * n_train / 3)}
    names = {path.name for path in folder(ran).iterdir()}
    assert not names & {"prediction.csv", "choice.csv", "taps.csv"}
    label = race["label"].iloc[-1]
    assert label in (ran.path / "results/mine/report.html").read_text()


def test_the_winner_is_what_one_training_makes(ran, tmp_path, monkeypatch):
    monkeypatch.chdir(ran.path)
    winner = outcome(table(ran, "kinds/race")).winner
    config = CONFIG | {"targets": {"kinds": CONFIG["targets"]["kinds"] | RACE}}
    plan = make_plan(config, (), ran.path / "config/assets.tsv", {})
    target = plan.targets["kinds"]
    flags = {
        "model": winner,
        "data": folder(ran) / "data.h5",
        "row": plan.bank.networks[winner].to_json(),
        "tap": "block4",
        "head": target.config.head.model_dump_json(),
        "recipe": target.config.recipe.model_dump_json(),
        "seed": plan.config.seed + 4000,
        "share": target.config.val_share,
        "split_seed": plan.config.seed,
        "leg": json.dumps({"since": 0, "until": 12}),
        "output_weights": tmp_path / "weights.safetensors",
        "curve": tmp_path / "curve.csv",
        "scores": tmp_path / "scores.csv",
    }
    words = [word for name, value in flags.items() for word in (f"--{name}", str(value))]
    environment = {**os.environ, "PYTHONPATH": "."}
    subprocess.run([sys.executable, "scripts/race_leg.py", *words], env=environment, check=True)
    place = folder(ran) / f"finetuned/block4/{winner}/s0"
    straight, raced = (load_file(at / "weights.safetensors") for at in (tmp_path, place))
    assert straight.keys() == raced.keys()
    assert all(torch.equal(straight[name], raced[name]) for name in straight)
    assert (tmp_path / "scores.csv").read_bytes() == (place / "scores.csv").read_bytes()


def test_a_second_run_has_nothing_to_do(ran):
    assert ran.planned(*RUN) == set()


@pytest.fixture
def copy(ran, tmp_path) -> Project:
    project = Project(tmp_path / "copy")
    shutil.copytree(ran.path, project.path, symlinks=True)
    return project


def test_states_are_not_needed_when_it_is_over(copy):
    states = list(folder(copy).glob("race/*/round*/training.state"))
    assert len(states) == 4 + 2
    for state in states:
        state.unlink()
    assert copy.planned(*RUN) == set()


def test_a_race_that_lost_its_end_trains_only_that_again_with_one_core(ran, copy):
    winner, paths = outcome(table(ran, "kinds/race")).winner, ("race.csv", "scores.csv")
    shutil.rmtree(folder(copy) / "finetuned")
    shutil.rmtree(folder(copy) / f"race/{winner}/round2")
    for path in (*paths, "race/round2.csv"):
        (folder(copy) / path).unlink()
    wanted = [f"results/mine/targets/kinds/{path}" for path in paths]
    printed = copy.snakemake(*RUN, "--", *wanted, cores=1)
    trained = re.findall(r"Fine-tuning (\S+) on kinds, round (\d)", printed)
    assert trained == [(winner, "2")]
    assert f"Fine-tuning {winner}, which won the race for kinds, to the end" in printed
    files = [*paths, f"finetuned/block4/{winner}/s0/weights.safetensors"]
    for path in files:
        assert (folder(copy) / path).read_bytes() == (folder(ran) / path).read_bytes(), path


def test_another_budget_trains_no_small_models_again(ran):
    write_config(ran, **RACE | {"budget": 2.2})
    try:
        stale = ran.planned(*RUN)
    finally:
        write_config(ran, **RACE)
    assert "race_leg" in stale
    assert not stale & {"prepare_target", "train_target_model", "network_rdms", "rank_networks"}
