"""A bank and a target of the user's own, from folders of photographs to the page of advice."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import Project, copy_project
from PIL import Image

pytestmark = pytest.mark.workflow

NETWORKS = """
from torch import nn


def make(width):
    return nn.Sequential(
        nn.Conv2d(3, width, 3, stride=2, padding=1), nn.BatchNorm2d(width), nn.ReLU(),
        nn.Conv2d(width, width, 3, stride=2, padding=1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 3),
    )
"""
HEADER = ["name", "label", "type", "loader", "weights", "sha256", "layers", "size"]
HEADER += ["mean", "std", "channels", "arguments"]
CONFIG = {
    "run": "mine",
    "image_size": 32,
    "stimuli": {"n": 20, "source": "folder"},
    "folder": {"path": "photos/photos"},
    "bank": {"table": "my bank.tsv"},
    "pascal": {"source": None},
    "rsa": {"bootstraps": 20, "permutations": 20, "type_permutations": 19},
    "robustness": {"images": [10, 20]},
    "target": {
        "kind": "classification",
        "path": "my classes",
        "finetune": "top3",
        "recipe": {"steps": 4},
        "small": {"seeds": [0, 1], "width": 4, "recipe": {"steps": 8}},
    },
}
TABLES = ("target_ranking", "target_images", "target_scores", "own_similarity_last")


def with_target(project: Project) -> Project:
    """Put a bank of four networks, photographs and a labelled folder into a project."""
    rng = np.random.default_rng(0)
    for at in range(24):
        kind = ("stripes", "spots", "none")[at % 3]
        pixels = rng.integers(0, 60, (40, 48, 3))
        if kind == "stripes":
            pixels[:, ::6] += 150
        if kind == "spots":
            pixels[::8, ::8] += 190
        for path in (f"my classes/{kind}/{at}.png", f"photos/photos/{at}.png"):
            file = project.path / path
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels.astype(np.uint8)).save(file)
    (project.path / "mynets.py").write_text(NETWORKS)
    rows = [HEADER]
    for width in (3, 4, 6, 8):
        cells = [f"net{width}", f"Net {width}", "mine", "mynets:make", "", "", "auto", ""]
        rows.append([*cells, "0.5", "0.5", "rgb", f'{{"width": {width}}}'])
    table = "\n".join("\t".join(row) for row in rows)
    (project.path / "my bank.tsv").write_text(table + "\n")
    write_config(project)
    return project


def write_config(project: Project, **target) -> None:
    config = CONFIG | {"target": CONFIG["target"] | target}
    (project.path / "mine.yaml").write_text(yaml.safe_dump(config))


RUN = ("--configfile", "mine.yaml", "--", "own_target")


@pytest.fixture(scope="module")
def ran(tmp_path_factory) -> Project:
    project = with_target(copy_project(tmp_path_factory.mktemp("own") / "project"))
    project.snakemake(*RUN)
    return project


def test_the_run_ranks_advises_and_verifies(ran):
    tables = {name: pd.read_csv(ran.path / f"results/mine/tables/{name}.csv") for name in TABLES}
    ranking, scores = tables["target_ranking"], tables["target_scores"]
    assert sorted(ranking["model"]) == ["net3", "net4", "net6", "net8"]
    assert ranking["tied"].iloc[0] == "yes"
    # The best three, in their order, and the small model.
    assert scores["model"].tolist() == [*ranking["model"].iloc[:3], "small model"]
    assert set(scores["metric"]) == {"accuracy"}
    assert scores["floor"].iloc[0] == pytest.approx(1 / 3)
    assert tables["target_images"]["n_images"].tolist() == [10, 20]
    cost = pd.read_csv(ran.path / "results/mine/target/cost.csv")
    assert len(cost) == 4
    assert (cost["seconds"] > 0).all()
    page = (ran.path / "results/mine/own_report.html").read_text()
    assert ranking["label"].iloc[0] in page
    assert "Fine-tuning all 4 would take" in page


def test_a_second_run_has_nothing_to_do(ran):
    assert ran.planned(*RUN) == set()


def test_what_changes_is_made_again_and_nothing_else(ran, tmp_path):
    project = Project(tmp_path / "copy")
    shutil.copytree(ran.path, project.path, symlinks=True)
    photo = project.path / "my classes/spots/1.png"
    Image.fromarray(255 - np.asarray(Image.open(photo))).save(photo)
    stale = project.planned(*RUN)
    assert {"prepare_own_target", "train_own_target", "rank_own_bank", "own_report"} <= stale
    assert not stale & {"bank_rdms", "prepare_stimuli", "own_similarity"}
    write_config(ran, recipe={"steps": 5})
    try:
        stale = ran.planned(*RUN)
    finally:
        write_config(ran)
    assert {"tune_own_network", "own_target_scores", "own_target_cost"} <= stale
    assert not stale & {"prepare_own_target", "train_own_target", "bank_rdms", "rank_own_bank"}


def test_tables_are_the_same_with_one_core(ran, tmp_path):
    other = with_target(copy_project(tmp_path / "other"))
    other.snakemake(*RUN, cores=1)
    for name in TABLES:
        path = f"results/mine/tables/{name}.csv"
        assert (other.path / path).read_bytes() == (ran.path / path).read_bytes(), name


def test_a_network_may_stand_for_the_target(ran):
    config = CONFIG | {"target": {"kind": "network", "network": "net4"}}
    (ran.path / "network.yaml").write_text(yaml.safe_dump(config | {"run": "mine"}))
    words = ("--configfile", "network.yaml", "--", "results/mine/tables/target_ranking.csv")
    assert ran.planned(*words) == {"rank_own_bank"}
    config |= {"run": "network"}
    (ran.path / "network.yaml").write_text(yaml.safe_dump(config))
    ran.snakemake("--configfile", "network.yaml", "--", "own_target")
    ranking = pd.read_csv(ran.path / "results/network/tables/target_ranking.csv")
    assert sorted(ranking["model"]) == ["net3", "net6", "net8"]
    assert "is most similar to Net 4" in (ran.path / "results/network/own_report.html").read_text()
    assert not Path(ran.path, "results/network/target").exists()


@pytest.mark.parametrize("width", [360, 1280])
def test_the_page_in_a_browser(ran, browser, width):
    context = browser.new_context(viewport={"width": width, "height": 900}, offline=True)
    page, faults = context.new_page(), []
    page.on("console", lambda message: faults.append(message.text))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda request: faults.append(request.url))
    page.goto((ran.path / "results/mine/own_report.html").as_uri())
    faults = [fault for fault in faults if not fault.startswith(("file:", "data:"))]
    assert not faults
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("[...document.images].every(image => image.naturalWidth > 0)")
    assert page.locator("figure.layer:visible svg rect title").count() == 16
    context.close()


def test_snakemake_s_own_report_has_the_target(ran):
    import zipfile

    ran.snakemake("--configfile", "mine.yaml", "--report", "own.zip", "--", "own_target")
    with zipfile.ZipFile(ran.path / "own.zip") as found:
        names = found.namelist()
        text = "".join(found.read(n).decode() for n in names if n.endswith((".html", ".js")))
    for name in ("target_ranking.png", "target_ranking.csv", "target_scores.csv"):
        assert any(n.endswith(name) for n in names), name
    for shown in ("Own target", "Own bank", "cannot be told from the first choice"):
        assert shown in text, shown


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"bank": {"table": None}}, "error: config, bank.table: is not set"),
        ({"target": {"path": None}}, "error: config, target.path: is not set"),
        ({"target": {"path": "nowhere"}}, "error: nowhere: no such folder of labelled images"),
        ({"target": {"kind": "boxes"}}, "error: config, target.kind: 'boxes' is not one of"),
        (
            {"target": {"kind": "network", "network": "net5", "finetune": "none"}},
            "error: config, target.network: no network named net5; there are net3, net4",
        ),
        (
            {"target": {"kind": "network", "network": "net4"}},
            "error: config, target.finetune: a network has no labels",
        ),
        ({"target": {"path": "$NO_SUCH_VARIABLE/x"}}, "error: config, target: $NO_SUCH_VARIABLE"),
    ],
)
def test_what_does_not_go_together_is_one_line(ran, change, line):
    config = {**CONFIG, **{k: CONFIG[k] | v for k, v in change.items()}}
    (ran.path / "bad.yaml").write_text(yaml.safe_dump(config))
    printed = ran.snakemake("--configfile", "bad.yaml", "--", "own_target", ok=False)
    errors = [text for text in printed.splitlines() if "rror" in text]
    assert [text for text in errors if text.startswith(line)], printed
    assert len(errors) == 1


def test_files_that_cannot_be_used_are_named_together(tmp_path):
    project = with_target(copy_project(tmp_path / "bad"))
    for name in ("spots/1", "none/2"):
        (project.path / f"my classes/{name}.png").write_bytes(b"no image")
    printed = project.snakemake(*RUN, ok=False)
    lines = [text for text in printed.splitlines() if text.startswith("error:")]
    assert len(lines) == 1
    assert "2 of 24 labelled images cannot be used" in lines[0]
    assert "spots/1.png" in lines[0]
    assert not (project.path / "results/mine/target/data.h5").exists()
