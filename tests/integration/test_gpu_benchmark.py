"""The benchmark of graphics cards runs in its small form, on whatever there is."""

from __future__ import annotations

import importlib
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
PRECISIONS = ["float32", "TF32", "bf16"]


def run(*words: str | Path) -> str:
    one = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}
    command = [sys.executable, BENCHMARKS / "gpu.py", "--small", *words]
    done = subprocess.run(
        command, env={**os.environ, **one}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def rows(tmp_path_factory) -> pd.DataFrame:
    path = tmp_path_factory.mktemp("gpu") / "gpu.csv"
    printed = run("--minutes", "60", "--out", path)
    assert "published encoder" in printed
    return pd.read_csv(path)


def part(rows: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return the rows of a part, without the columns that it has nothing to say in."""
    return rows[rows["part"] == name].dropna(axis=1, how="all")


def test_every_part_has_its_rows_and_their_numbers_make_sense(rows):
    parts = ["matmul", "extraction", "rsa", "rdm", "finetuning", "race"]
    assert rows["part"].unique().tolist() == parts
    numbers = rows.select_dtypes("number")
    assert np.isfinite(numbers.to_numpy()[numbers.notna().to_numpy()]).all()
    may_be_0 = ["rdm_change", "similarity_change", "waiting"]
    assert not (numbers.drop(columns=may_be_0) <= 0).any(axis=None)
    assert not (numbers[may_be_0] < 0).any(axis=None)
    assert part(rows, "matmul")["precision"].tolist() == PRECISIONS


def test_extraction_is_measured_by_step_network_and_precision(rows):
    found = part(rows, "extraction")
    wide = found.pivot_table(
        index=["what", "precision"], columns="step", values="images_per_s", aggfunc="max"
    )
    assert set(PRECISIONS) == {*wide.loc["published encoder"].index}
    assert (wide["RDMs"] <= wide["features"]).all()  # which come first
    rate = dict(part(rows, "matmul").set_index("precision")["tflops"])
    shares = found["tflops"] / found["precision"].map(rate)
    np.testing.assert_allclose(found["of_matmul"], shares, rtol=2e-3)


def test_precisions_are_compared_with_float32(rows):
    found = part(rows, "rsa").set_index(["what", "precision"])
    half = found.xs("bf16", level="precision")
    rounded = found.xs("TF32", level="precision")
    assert half["spearman"].dropna().between(0.9, 1).all()
    assert (half["rdm_change"].dropna() > 0).all()
    assert half["similarity_change"].count() == rounded["similarity_change"].count() == 1
    if not torch.cuda.is_available():  # processors do not round so
        assert (rounded[["rdm_change", "similarity_change"]].max() == 0).all()
    one = part(rows, "rdm").set_index(["what", "precision"])
    assert (one.xs("float32", level="precision")["rdm_change"] < 1e-6).all()
    assert one.xs("bf16", level="precision")["rdm_change"].between(1e-6, 0.05).all()


def test_trainings_say_how_long_they_wait_and_a_race_what_it_takes(rows):
    found = part(rows, "finetuning")
    assert found.groupby("precision", sort=False)["what"].nunique().to_dict() == dict.fromkeys(
        PRECISIONS, 3
    )
    assert found["waiting"].between(0, 1).all()
    assert ("peak_gb" in found) == torch.cuda.is_available()
    everything, race = part(rows, "race").to_dict("records")
    assert (everything["steps"], everything["of_all"]) == (5 * 12, 1)
    assert race["steps"] <= 2 * 12


@pytest.fixture
def module(monkeypatch):
    """Return what imports a module of the benchmarks."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module


def test_what_there_is_no_time_for_is_left_out_with_a_line(module, capsys):
    until = module("gpu").until
    assert list(until(math.inf, "race", iter([{}, None]))) == [{}, None]
    assert capsys.readouterr().out == ""
    assert list(until(0, "race", (row for row in [{}]))) == []
    assert capsys.readouterr().out.startswith("race: what is left of it is left out")


def test_how_cards_round_is_restored(module):
    card = module("card")
    switches = (torch.backends.cuda.matmul, torch.backends.cudnn)
    before = [switch.allow_tf32 for switch in switches]
    for tf32 in (True, False):
        with card.numerics():
            with card.numerics(tf32):
                assert [switch.allow_tf32 for switch in switches] == [tf32, tf32]
            assert [switch.allow_tf32 for switch in switches] == before
            torch.backends.cudnn.allow_tf32 = not before[1]  # as loading a network does
        assert [switch.allow_tf32 for switch in switches] == before
