"""Brains as networks and as targets: the DAG of config/brain.yaml, without its networks."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from conftest import ROOT, copy_project

pytestmark = pytest.mark.workflow


def test_rdms_of_brains_are_compared_with_a_target_by_the_workflow(tmp_path, real_data):
    if not Path(real_data, "objects92").is_dir():
        pytest.skip("TASKRSA_DATA has no folder objects92")
    project = copy_project(tmp_path / "project")
    lines = (ROOT / "config/networks/brain.tsv").read_text().splitlines(keepends=True)
    brains = [line for line in lines if line.startswith(("name\t", "monkey_it\t", "human_it\t"))]
    (project.path / "brains.tsv").write_text("".join(brains))
    project.snakemake(
        *("--configfile", "config/brain.yaml", "--config", "networks=brains.tsv"),
        *("--", "results/brain/figures/human/layers.png", "results/brain/tables/similarity.csv"),
        data=real_data,
    )
    results = project.path / "results/brain"
    assert (results / "figures/human/layers.png").stat().st_size > 10_000
    found = pd.read_csv(results / "targets/human/layers.csv").iloc[0]
    table = pd.read_csv(ROOT / "results/reference/brain/human.csv").set_index("model")
    columns = ["rs", "ci_low", "ci_high", "ceiling_low", "ceiling_high", "n_subjects", "n_images"]
    assert found["model"] == "monkey_it"
    assert found[columns].tolist() == pytest.approx(table.loc["monkey_it", columns].tolist())
    (similarity,) = pd.read_csv(results / "tables/similarity.csv")["rs"]
    assert similarity == pytest.approx(0.439, abs=5e-4)
