"""A user's networks and targets, from folders of photographs to the page."""

from __future__ import annotations

import shutil

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import Preloaded, Project, copy_project
from PIL import Image
from taskrsa.rsa.rdm_file import read_rdms

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
    "networks": "my bank.tsv",
    "layers": ["depth1", "last"],
    "rsa": {"bootstraps": 20, "permutations": 20, "type_permutations": 19},
    "robustness": {"images": [10, 20]},
    "targets": {
        "kinds": {
            "kind": "classification",
            "path": "my classes",
            "finetune": "top3",
            "recipe": {"steps": 4},
            "small": {"seeds": [0, 1], "width": 4, "recipe": {"steps": 8}},
        },
        "like": {"kind": "network", "network": "net4"},
    },
}
TABLES = ("advice", "measures", "ranking", "ranking_images", "scores", "prediction", "choice")
RUN = ("--configfile", "mine.yaml")


def with_target(project: Project) -> Project:
    """Put a table of four networks, photographs and a labelled folder into a project."""
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
    kinds = CONFIG["targets"]["kinds"] | target
    config = CONFIG | {"targets": CONFIG["targets"] | {"kinds": kinds}}
    (project.path / "mine.yaml").write_text(yaml.safe_dump(config))


def table(project: Project, name: str) -> pd.DataFrame:
    return pd.read_csv(project.path / f"results/mine/targets/{name}.csv")


@pytest.fixture(scope="module")
def ran(tmp_path_factory) -> Project:
    project = with_target(copy_project(tmp_path_factory.mktemp("own") / "project"))
    project.snakemake(*RUN)
    return project


def test_the_run_ranks_and_verifies(ran):
    ranking, scores = table(ran, "kinds/ranking"), table(ran, "kinds/scores")
    assert sorted(ranking["model"]) == ["net3", "net4", "net6", "net8"]
    assert ranking["tied"].iloc[0] == "yes"
    # The first three of the advice, in the order of the ranking, then what was not ranked.
    first = set(table(ran, "kinds/advice")["model"].iloc[:3])
    ranked = [name for name in ranking["model"] if name in first]
    assert scores["model"].tolist() == [*ranked, "random_small", "small"]
    assert set(scores["metric"]) == {"accuracy"}
    assert scores["chance_score"].iloc[0] == pytest.approx(1 / 3)
    assert table(ran, "kinds/ranking_images")["n_images"].tolist() == [10]
    cost = table(ran, "kinds/cost")
    assert len(cost) == 4
    assert (cost["seconds"] > 0).all()
    page = (ran.path / "results/mine/report.html").read_text()
    assert ranking["label"].iloc[0] in page


def test_the_advice_is_the_mean_of_ranks_of_measured_networks(ran):
    advice = table(ran, "kinds/advice").set_index("model")
    assert sorted(advice.index) == ["net3", "net4", "net6", "net8"]
    assert advice["mean_rank"].is_monotonic_increasing
    assert set(advice["untrained"]) == {"no"}
    scores = table(ran, "kinds/measures")
    assert scores["score"].notna().eq(scores["reason"].isna()).all()
    ranks = []
    for name in ("probe", "knn", "logme"):
        rows = scores[(scores["measure"] == name) & (scores["layer"] == "tap")].set_index("model")
        ranks.append((-rows["score"]).rank())
        assert advice[f"rank_{name}"].to_dict() == ranks[-1].to_dict()
    expected = sum(ranks) / 3
    assert advice["mean_rank"].to_dict() == pytest.approx(expected.to_dict(), abs=1e-4)
    accuracy = scores[scores["measure"] == "knn"]
    assert accuracy["score"].between(0, 1).all()
    assert accuracy["chance"].between(0.3, 0.5).all()
    ranking = table(ran, "kinds/ranking").set_index("model")["rs"]
    rsa = scores[scores["measure"] == "rsa"].set_index("model")["score"]
    assert rsa.to_dict() == pytest.approx(ranking.to_dict(), abs=1e-5)


def test_the_ranking_is_made_on_the_target_s_own_training_images(ran, tmp_path):
    images, stimuli = table(ran, "kinds/images"), table(ran, "kinds/stimuli")
    assert stimuli["image"].tolist() == images.loc[images["split"] == "train", "id"].tolist()
    folder = ran.path / "results/mine/targets/kinds"
    for path in (folder / "rdms/net3.h5", folder / "small/s1/rdms.h5"):
        assert list(read_rdms(path).conditions) == stimuli["image"].tolist()
    assert not (ran.path / "results/mine/rdms/target_kinds").exists()
    page = (ran.path / "results/mine/report.html").read_text()
    assert f"RSA rests on {len(stimuli)} training images of the target." in page

    # With the run's stimuli beside, what is made on the target's own stays as it is.
    project = Project(tmp_path / "copy")
    shutil.copytree(ran.path, project.path, symlinks=True)
    write_config(project, stimuli="both")
    paths = [f"results/mine/targets/kinds/{name}.csv" for name in ("ranking", "measures/net3")]
    project.snakemake(*RUN, "--", *paths)
    own, both = table(ran, "kinds/ranking"), table(project, "kinds/ranking")
    pd.testing.assert_frame_equal(both[own.columns], own)
    measures = pd.read_csv(project.path / paths[1]).set_index("measure")["score"]
    beside = both.set_index("model").loc["net3", ["rs", "rs_bank"]]
    assert measures[["rsa", "rsa_bank"]].tolist() == pytest.approx(beside.tolist(), abs=1e-5)


def test_a_network_stands_for_a_target(ran):
    ranking = table(ran, "like/ranking")
    assert sorted(ranking["model"]) == ["net3", "net6", "net8"]
    folder = ran.path / "results/mine/targets/like"
    names = {path.name for path in folder.iterdir()}
    assert names == {"layers.csv", "ranking.csv", "ranking_images.csv"}


def test_a_second_run_has_nothing_to_do(ran):
    assert ran.planned(*RUN) == set()


def test_what_changes_is_made_again_and_nothing_else(ran, tmp_path):
    project = Project(tmp_path / "copy")
    shutil.copytree(ran.path, project.path, symlinks=True)
    photo = project.path / "my classes/spots/1.png"
    Image.fromarray(255 - np.asarray(Image.open(photo))).save(photo)
    stale = project.planned(*RUN)
    assert {"prepare_target", "train_target_model", "rank_networks", "report_page"} <= stale
    assert {"target_stimuli", "own_rdms", "own_target_rdms"} <= stale
    assert not stale & {"network_rdms", "prepare_stimuli", "similarity"}
    write_config(ran, recipe={"steps": 5})
    try:
        stale = ran.planned(*RUN)
    finally:
        write_config(ran)
    assert {"finetune", "target_scores", "target_cost"} <= stale
    assert not stale & {"prepare_target", "train_target_model", "network_rdms", "rank_networks"}
    assert not stale & {"target_stimuli", "own_rdms", "own_target_rdms"}


def test_tables_are_the_same_with_one_core(ran, tmp_path):
    other = with_target(copy_project(tmp_path / "other"))
    paths = [f"results/mine/targets/kinds/{name}.csv" for name in TABLES]
    other.snakemake(*RUN, "--", *paths, cores=1, server=Preloaded())
    for path in paths:
        assert (other.path / path).read_bytes() == (ran.path / path).read_bytes(), path


@pytest.mark.parametrize("width", [360, 1280])
def test_the_page_in_a_browser(ran, browser, width):
    context = browser.new_context(viewport={"width": width, "height": 900}, offline=True)
    page, faults = context.new_page(), []
    page.on("console", lambda message: faults.append(message.text))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda request: faults.append(request.url))
    page.goto((ran.path / "results/mine/report.html").as_uri())
    faults = [fault for fault in faults if not fault.startswith(("file:", "data:"))]
    assert not faults
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("[...document.images].every(image => image.naturalWidth > 0)")
    context.close()


def test_snakemake_s_own_report_has_the_target(ran):
    import zipfile

    ran.snakemake(*RUN, "--report", "own.zip")
    with zipfile.ZipFile(ran.path / "own.zip") as found:
        names = found.namelist()
        text = "".join(found.read(n).decode() for n in names if n.endswith((".html", ".js")))
    for name in ("ranking.png", "ranking.csv", "scores.csv"):
        assert any(n.endswith(name) for n in names), name
    for shown in ("Targets", "representational similarity analysis", "cannot be distinguished"):
        assert shown in text, shown


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"path": "nowhere"}, "error: nowhere: no such folder of labelled images"),
        ({"kind": "boxes"}, "error: config, targets.kinds.kind: 'boxes' should be"),
        ({"path": "$NO_SUCH_VARIABLE/x"}, "error: config, targets.kinds: $NO_SUCH_VARIABLE/x nam"),
    ],
)
def test_what_cannot_be_used_is_one_line(ran, change, line):
    write_config(ran, **change)
    try:
        printed = ran.snakemake(*RUN, ok=False)
    finally:
        write_config(ran)
    errors = [text for text in printed.splitlines() if "rror" in text]
    assert [text for text in errors if text.startswith(line)], printed
    assert len(errors) == 1


def test_files_that_cannot_be_used_are_named_together(tmp_path):
    project = with_target(copy_project(tmp_path / "bad"))
    for name in ("spots/1", "none/2"):
        (project.path / f"my classes/{name}.png").write_bytes(b"no image")
    data = "results/mine/targets/kinds/data.h5"
    printed = project.snakemake(*RUN, "--", data, ok=False)
    lines = [text for text in printed.splitlines() if text.startswith("error:")]
    assert len(lines) == 1
    assert "2 problems in 24 labelled images" in lines[0]
    assert "spots/1.png" in lines[0]
    assert not (project.path / data).exists()
