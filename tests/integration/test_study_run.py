"""A study on three tiny targets and three networks, one untrained, from images to the figure."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import Project, copy_project
from PIL import Image
from test_target_run import HEADER, NETWORKS

pytestmark = pytest.mark.workflow

HEAD = {"width": 8, "rates": [1]}
TRAINED = {
    "stimuli": "bank",
    "finetune": "all",
    "head": HEAD,
    # Long enough that some networks are better than chance.
    "recipe": {"steps": 80, "learning_rate": 0.01, "head_lr_factor": 1, "scale": [1, 1]},
    "small": {"seeds": [0], "width": 4, "head": HEAD, "recipe": {"steps": 4, "batch_size": 4}},
}
TABLES = ("measures", "summary", "choice", "cost")
CONFIG = {
    "run": "tiny",
    "image_size": 32,
    "stimuli": {"n": 12, "source": "folder"},
    "folder": {"path": "photos"},
    "networks": "bank.tsv",
    "layers": ["depth1", "last"],
    "rsa": {"bootstraps": 10, "permutations": 10, "type_permutations": 9},
    "robustness": {"images": [12]},
    "targets": {
        "kinds": TRAINED | {"kind": "classification", "path": "labels.csv"},
        "sizes": TRAINED | {"kind": "values", "path": "sizes.csv"},
        "world": TRAINED
        | {
            "kind": "segmentation",
            "source": "outdoor",
            "outdoor": {"image_size": 32, "n_train": 12, "n_val": 6},
        },
    },
}
CONFIG["targets"]["kinds"] |= {"advice": {"all_layers": True}, "seeds": [0, 1]}


@pytest.fixture(scope="module")
def ran(tmp_path_factory) -> Project:
    project = copy_project(tmp_path_factory.mktemp("study") / "project")
    rng = np.random.default_rng(0)
    rows = []
    (project.path / "photos").mkdir()
    for at in range(24):
        pixels = rng.integers(0, 60, (32, 32, 3))
        pixels[:: 2 + at % 6] += 90 * (at % 2)
        name = f"photos/{at}.png"
        Image.fromarray(pixels.astype(np.uint8)).save(project.path / name)
        split = "val" if at >= 16 else "train"
        rows.append((name, split, ("plain", "lines")[at % 2], at % 6))
    table = pd.DataFrame(rows, columns=["image", "split", "label", "size"])
    table[["image", "split", "label"]].to_csv(project.path / "labels.csv", index=False)
    table[["image", "split", "size"]].to_csv(project.path / "sizes.csv", index=False)
    (project.path / "mynets.py").write_text(NETWORKS)
    lines = [[*HEADER, "untrained"]]
    for name, width, untrained in (("few", 3, "no"), ("many", 8, "no"), ("none", 5, "yes")):
        cells = [name, name, "mine", "mynets:make", "", "", "auto", "", "0.5", "0.5", "rgb"]
        lines.append([*cells, f'{{"width": {width}}}', untrained])
    (project.path / "bank.tsv").write_text("\n".join(map("\t".join, lines)) + "\n")
    (project.path / "tiny.yaml").write_text(yaml.safe_dump(CONFIG))
    wanted = [*(f"tables/study_{name}.csv" for name in TABLES), "figures/study.png"]
    files = [f"results/tiny/{name}" for name in wanted]
    project.snakemake("--configfile", "tiny.yaml", "--", *files)
    return project


def table(project: Project, name: str) -> pd.DataFrame:
    return pd.read_csv(project.path / f"results/tiny/tables/study_{name}.csv")


def test_every_measure_is_judged_on_every_target(ran):
    rows = table(ran, "measures")
    assert set(rows["target"]) == {"kinds", "sizes", "world"}
    assert (rows["n_models"] == 3).all()
    assert rows["method"].isin(["probe@tap", "knn@tap", "cka@tap"]).sum() == 9
    # Layers were asked for of one target only.
    assert set(rows.loc[rows["method"].str.endswith("@depth1"), "target"]) == {"kinds"}
    assert {"blind", "any", "seeds"} <= set(rows["method"])
    assert rows["regret"].notna().any()
    assert rows["regret"].dropna().between(0, 1).all()
    untrained = rows[rows["first"] == "none"]
    assert (untrained["untrained_first"] == 1).all()


def test_the_first_choice_is_that_of_the_measure(ran):
    rows = table(ran, "measures")
    for target in ("kinds", "sizes", "world"):
        folder = ran.path / f"results/tiny/targets/{target}"
        scores = pd.read_csv(folder / "measures.csv")
        scores = scores[(scores["measure"] == "cka") & (scores["layer"] == "tap")]
        best = scores.loc[scores["score"].idxmax(), "model"]
        row = rows[(rows["target"] == target) & (rows["method"] == "cka@tap")].iloc[0]
        assert row["first"] == best
        runs = pd.read_csv(folder / "runs.csv")
        reached = runs.groupby("model")["score"].mean()
        top, chance = reached[["few", "many", "none"]].max(), runs["chance_score"].iloc[0]
        if top > chance:
            lost = (top - reached[best]) / (top - chance)
            assert row["regret"] == pytest.approx(min(1, lost), abs=1e-4)


def test_means_costs_and_figure(ran):
    summary = table(ran, "summary")
    assert summary["method"].is_unique
    assert (summary["regret"].dropna() <= 1).all()
    cost = table(ran, "cost").set_index("what")
    assert cost.loc["fine-tuning, all networks and seeds", "of_finetuning"] == 1
    assert {"probe", "features of the target's images", "small models"} <= set(cost.index)
    assert (ran.path / "results/tiny/figures/study.png").stat().st_size > 5000
