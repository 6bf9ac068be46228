"""Reading a run for its page: names come from folders, and the entry makes a page of the files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from report_runs import ROOT, bank
from taskrsa.analysis.tables import linkage_table
from taskrsa.errors import DataError
from taskrsa.report import read


def written(folder: Path, name: str, frame: pd.DataFrame) -> str:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.to_csv(path, index=False)
    return str(path)


def test_tables_are_named_by_their_files_and_qualities_keep_apart(tmp_path):
    paths = [
        written(tmp_path, f"{folder}/quality.csv", pd.DataFrame({"task": [folder]}))
        for folder in ("bank", "small")
    ]
    paths.append(written(tmp_path, "tables/presets.csv", pd.DataFrame({"choice": ["x"]})))
    found = read.tables_of(paths)
    assert set(found) == {"bank_quality", "small_quality", "presets"}


def test_names_that_look_like_numbers_stay_text(tmp_path):
    path = written(tmp_path, "networks.csv", pd.DataFrame({"name": [1, 2], "label": [3, 4]}))
    assert read.networks_of(path)["name"].tolist() == ["1", "2"]


@pytest.mark.parametrize("target", ["voc", "small", "finetuned", "targets"])
def test_targets_and_networks_are_named_by_their_folders(tmp_path, target):
    run = tmp_path / "targets"  # a run may have that name, too
    ranking = written(run, f"targets/{target}/ranking.csv", pd.DataFrame({"model": ["a"]}))
    curve = pd.DataFrame({"step": [1], "train_loss": [0.5], "val_miou": [0.25]})
    base = f"targets/{target}"
    curves = [
        written(run, f"{base}/small/s3/learning_curve.csv", curve),
        written(run, f"{base}/finetuned/block4/small/s0/learning_curve.csv", curve),
        written(run, f"{base}/finetuned/last/net/s12/learning_curve.csv", curve),
    ]
    found = read.targets_of(str(run), [ranking], curves)
    assert list(found) == [target]
    shown = found[target]["curves"]
    assert shown["model"].tolist() == ["small", "small", "net"]
    assert shown["seed"].tolist() == [3, 0, 12]
    assert shown["score"].tolist() == [0.25] * 3


def test_without_fine_tuning_the_scores_are_those_of_the_small_models(tmp_path):
    same = {"trained": "whole network", "metric": "accuracy", "chance_score": 0.2, "n_val": 9}
    paths = [
        written(
            tmp_path,
            f"targets/mine/small/s{seed}/scores.csv",
            pd.DataFrame([{"model": "small", "seed": seed, "score": 0.3 + seed / 10, **same}]),
        )
        for seed in (0, 1)
    ]
    found = read.targets_of(str(tmp_path), paths, [])
    assert list(found["mine"]) == ["scores"]
    row = found["mine"]["scores"].iloc[0]
    assert (row["model"], row["score"], row["chance_score"]) == ("small", 0.35, 0.2)
    assert row["score_sd"] == pytest.approx(0.1 / 2**0.5)
    # Where networks are fine-tuned, their table has the small models, too.
    whole = written(tmp_path, "targets/mine/scores.csv", pd.DataFrame({"model": ["small", "a"]}))
    for order in ([whole, *paths], [*paths, whole]):
        assert len(read.targets_of(str(tmp_path), order, [])["mine"]["scores"]) == 2


def test_pictures_know_their_target_and_what_they_show(tmp_path):
    paths = [f"{tmp_path}/figures/figure4.png", f"{tmp_path}/figures/voc/ranking.png"]
    bank_s, of_target = read.pictures_of(str(tmp_path), paths)
    assert (bank_s.figure.title, bank_s.figure.category, bank_s.target) == (
        "Figure 4",
        "Taxonomy",
        "",
    )
    assert of_target.target == "voc"


def test_a_tree_has_its_method_from_its_name(tmp_path):
    tree = bank(4).tree
    path = written(tmp_path, "trees/depth_1_average.csv", linkage_table(tree.linkage, tree.leaves))
    found = read.tree_of([path])
    assert found.method == "average"
    assert list(found.leaves) == list(tree.leaves)
    np.testing.assert_allclose(found.linkage, tree.linkage)
    assert read.tree_of([]) is None


def test_a_missing_or_damaged_table_is_one_line(tmp_path):
    with pytest.raises(DataError, match=r"none.csv: there is no such table"):
        read.tables_of([tmp_path / "none.csv"])


def test_the_entry_makes_a_page_of_a_run_s_files(tmp_path):
    given, run = bank(4), tmp_path / "mine"
    tables = [written(run, "tables/similarity.csv", given.tables["similarity"])]
    of_target = [
        written(run, f"targets/mine/{name}.csv", frame)
        for name, frame in given.targets["mine"].items()
    ]
    tree = linkage_table(given.tree.linkage, given.tree.leaves)
    curve = pd.DataFrame({"step": [1, 2], "train_loss": [0.5, 0.4], "val_miou": [0.25, 0.3]})
    picture = run / "figures/mine/ranking.png"
    picture.parent.mkdir(parents=True)
    Image.new("RGB", (300, 200)).save(picture)
    flags = {
        "networks": [written(run, "networks.csv", given.networks)],
        "layer": ["last"],
        "tables": tables,
        "target_tables": of_target,
        "curves": [written(run, "targets/mine/small/s0/learning_curve.csv", curve)],
        "claims": [],
        "pictures": [str(picture)],
        "linkage": [written(run, "trees/last_average.csv", tree)],
        "stimuli": [written(run, "stimuli.csv", pd.DataFrame({"image": "x", "sha256": ["ab"]}))],
        "left_out": ["Figure 6: needs transfer affinities"],
        "results": [str(run)],
        "benchmarks": [str(run / "benchmarks")],
        "settings": [json.dumps(dict(given.settings) | {"added": {"key": 1}})],
        "hashes": ['{"weights of Net A": "cd"}'],
        "packages": ["numpy"],
        "gpu": ["false"],
        "page": [str(run / "report.html")],
    }
    words = [word for flag, values in flags.items() for word in (f"--{flag}", *values)]
    entry = [sys.executable, str(ROOT / "scripts/report_page.py"), *words]
    done = subprocess.run(entry, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    page = (run / "report.html").read_text(encoding="utf-8")
    for shown in ("Fine-tune Net A.", "33 images of mine", "weights of Net A", "needs transfer"):
        assert shown in page
    assert 'class="panels"' in page
    assert "key: 1" in page
