"""The files of config/EXTENDING.md, put outside the package and run."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest
import yaml
from conftest import Project, copy_project
from taskrsa.rsa.rdm_file import read_rdms

pytestmark = pytest.mark.workflow

TEXT = (Path(__file__).parents[2] / "config/EXTENDING.md").read_text()
CONFIG = {
    "run": "more",
    "tasks": ["autoencoder", "edge2d", "denoise", "brightness"],
    "training": {"recipe": {"steps": 6, "eval_every": 3}},
    "stimuli": {"n": 12},
    "targets": {"outdoor": None},
}
OUTPUTS = (
    "results/more/rdms/bank_measures/brightness.h5",
    "results/more/rdms/labels/brightness.h5",
    "results/more/tables/similarity.csv",
    "results/more/stimuli.csv",
)
RUN = ("--configfile", "config/smoke.yaml", "more.yaml", "--", *OUTPUTS)


@pytest.fixture(scope="module")
def extended(tmp_path_factory) -> Project:
    """Return a project in which the document's files, beside it, have run."""
    folder = tmp_path_factory.mktemp("more")
    project = copy_project(folder / "project")
    files = re.findall(r"^`(\w+\.py)`:\n\n```python\n(.*?)```", TEXT, re.MULTILINE | re.DOTALL)
    assert [name for name, _ in files] == [
        *("my_task.py", "my_measure.py", "my_transfer.py", "my_source.py")
    ]
    for name, code in files:
        (folder / name).write_text(code)
    blocks = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    config = dict(CONFIG)
    for block in blocks:
        config |= yaml.safe_load(block)
    config["extensions"] = [f"../{name}" for name in config["extensions"]]
    (project.path / "more.yaml").write_text(yaml.safe_dump(config))
    project.snakemake(*RUN)
    return project


def test_all_three_are_in_the_results(extended):
    stimuli = pd.read_csv(extended.path / "results/more/stimuli.csv")
    assert stimuli["image"].str.contains("train|val").all()
    similarity = pd.read_csv(extended.path / "results/more/tables/similarity.csv")
    assert {"brightness", "edge2d"} <= {*similarity["model_a"], *similarity["model_b"]}
    measures = read_rdms(extended.path / OUTPUTS[0])
    assert "euclidean" in measures.layers
    assert read_rdms(extended.path / OUTPUTS[1]).model == "brightness"


def test_a_second_run_has_nothing_to_do_and_a_changed_file_does(extended):
    assert extended.planned(*RUN) == set()
    file = extended.path.parent / "my_task.py"
    text = file.read_text()
    file.write_text(text.replace("sigma=2", "sigma=3"))
    try:
        assert {"derive_labels", "train_encoder", "network_rdms"} <= extended.planned(*RUN)
    finally:
        file.write_text(text)
    assert extended.planned(*RUN) == set()


def test_a_wrong_file_is_one_line(extended):
    (extended.path / "bad.yaml").write_text("extensions: [nowhere.py]\n")
    words = ("--configfile", "config/smoke.yaml", "bad.yaml", "-n")
    lines = extended.snakemake(*words, ok=False).splitlines()
    errors = [line for line in lines if "rror" in line]
    assert len(errors) == 1
    assert errors[0].startswith("error: config, extensions: there is no Python file ")
    (extended.path / "bad.yaml").write_text("extensions: my_task.py\n")
    printed = extended.snakemake(*words, ok=False)
    assert "error: config, extensions: 'my_task.py' should be a valid array" in printed
