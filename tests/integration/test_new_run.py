"""What `python -m taskrsa new` writes runs at once."""

from __future__ import annotations

import shlex
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import Project, copy_project
from PIL import Image

pytestmark = pytest.mark.workflow

NETWORKS = """
from torch import nn


def make(width=4):
    return nn.Sequential(
        nn.Conv2d(3, width, 3, stride=4, padding=1), nn.BatchNorm2d(width), nn.ReLU(),
        nn.Conv2d(width, width, 3, stride=4, padding=1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 3),
    )


def wide():
    return make(8)


def wider():
    return make(12)
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    project = copy_project(tmp_path_factory.mktemp("new") / "project")
    rng = np.random.default_rng(0)
    for at in range(24):
        pixels = rng.integers(0, 60, (32, 40, 3))
        pixels[:: 6 - at % 2 * 2] += 150
        file = project.path / f"my target/{('wide', 'narrow')[at % 2]}/{at}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.astype(np.uint8)).save(file)
    (project.path / "mynets.py").write_text(NETWORKS)
    return project


def started(project: Project, *words: str) -> list[str]:
    """Call the command as a newcomer does, and return the words that it says to run."""
    done = subprocess.run(
        [sys.executable, "-m", "taskrsa", "new", *words],
        cwd=project.path,
        env={"PYTHONPATH": "scripts", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    command = shlex.split(done.stdout.splitlines()[-1].removeprefix("run:"))
    assert command[:3] == ["snakemake", "--cores", "all"]
    return command[3:]


def test_it_runs_as_it_is_written(project):
    words = ["mynets:make", "mynets:wide", "mynets:wider"]
    run = started(project, "my run", "--networks", *words, "--target", "my target")
    planned = project.planned(*run)
    assert {"network_rdms", "prepare_target", "rank_networks", "report_page"} <= planned
    assert "finetune" not in planned
    # Small models of a few steps suffice to see that it runs.
    fewer = {"targets": {"my_target": {"small": {"seeds": [0], "recipe": {"steps": 4}}}}}
    (project.path / "fewer.yaml").write_text(yaml.safe_dump(fewer))
    ranking = "results/my_run/targets/my_target/ranking.csv"
    project.snakemake(*run, "fewer.yaml", "--", ranking)
    assert sorted(pd.read_csv(project.path / ranking)["model"]) == ["make", "wide", "wider"]


def test_a_library_s_network_and_its_control_are_planned(project):
    if find_spec("timm") is None:
        pytest.skip("timm is not installed")
    words = ["timm:resnet10t", "mynets:make"]
    run = started(project, "timm run", "--networks", *words, "--target", "my target")
    assert {"network_rdms", "rank_networks"} <= project.planned(*run)
    table = (project.path / "timm run/networks.tsv").read_text()
    assert "\nuntrained\tuntrained resnet10t\tuntrained\ttimm:resnet10t" in table
