"""config/paper.yaml: the whole DAG without any data; its cheap part, run.

It runs on encoders in the public layout and of the published size with random values; nothing is
downloaded.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from conftest import ROOT, Project
from PIL import Image
from taskrsa.networks.encoder import TaskonomyEncoder
from taskrsa.networks.table import asset_of, read_bank
from taskrsa.tasks.dictionary import TASKS

pytestmark = pytest.mark.workflow

PAPER = ("--configfile", "config/paper.yaml")
ACCEPT = ("--config", "assets={accept_licences: [taskonomy, voc2012, sbd]}")


def counts(project: Project, *words: str) -> dict[str, int]:
    """Return how often a dry run would execute each rule."""
    printed = project.snakemake("--dry-run", "--quiet", "host", *words)
    table = printed.partition("Job stats:")[2].partition("\ntotal")[0]
    return {name: int(n) for name, n in re.findall(r"^(\w+) +(\d+)$", table, flags=re.MULTILINE)}


def error_lines(printed: str) -> list[str]:
    return [line for line in printed.splitlines() if line.startswith("error:")]


# --- the DAG ---


def test_the_complete_dag_is_built_without_any_data(project):
    jobs = counts(project, *PAPER, *ACCEPT)
    expected = {
        # The encoders, affinities, win rates, VOC and SBD.
        "fetch_asset": 24,
        # 12 domains of hanson, the photographs of five buildings for the stimuli.
        "unpack_building": 12 + 5,
        "network_rdms": 20,
        "other_rdms": 20,
        "derive_labels": 14,
        # 14 tasks: three seeds, two other widths.
        "train_small": 14 * (3 + 2),
        # 20 encoders and two random ones, one network at the other tap, three seeds each.
        "finetune": (22 + 1) * 3,
        "train_target_model": 3,
    }
    assert {name: jobs.get(name) for name in expected} == expected
    for number in ("4", "5", "6", "7", "S1", "S3", "_ranking", "_scores", "_choice"):
        assert jobs[f"figure{number}"] == 1
    assert {"table1", "target_scores", "model_selection"} <= set(jobs)
    # A bank that is not trained here has no learning curves, and nothing measures its transfer.
    absent = {"train_encoder", "bank_quality", "figure_quality", "figure_learning_curves"}
    assert not {*absent, "probe_source", "label_rdms", "label_agreement"} & set(jobs)
    assert not (project.path / "results").exists()


def test_figures_4_to_6_need_encoders_and_photographs_only(project):
    accepted = ("--config", "assets={accept_licences: [taskonomy]}")
    jobs = counts(project, *PAPER, *accepted, "--", "rsa")
    assert jobs.pop("network_rdms") == 20
    assert jobs.pop("unpack_building") == jobs.pop("fetch_building") == 5
    assert set(jobs) == {
        *("fetch_asset", "list_networks", "prepare_stimuli", "published_affinity"),
        *("layer_similarity", "similarity", "tree", "taxonomy_agreement"),
        *("figure4", "figure5", "figure6", "rsa"),
        *("random_encoders", "other_rdms"),  # the untrained networks beside every similarity
    }


def test_photographs_of_one_s_own_need_no_licence_but_the_encoders(project, tmp_path):
    photographs(tmp_path / "photos", 4)
    own = {"stimuli": {"source": "folder", "options": None}, "folder": {"path": "$PHOTOS"}}
    own["assets"] = {"plan_unaccepted": False}
    (project.path / "own.yaml").write_text(yaml.safe_dump(own))
    os.environ["PHOTOS"] = str(tmp_path / "photos")
    try:
        jobs = counts(project, *PAPER, "own.yaml", "--", "rsa")
    finally:
        del os.environ["PHOTOS"]
    assert jobs["fetch_asset"] == 20
    assert "unpack_building" not in jobs
    # The affinities are Taskonomy's, whose licence is not accepted here.
    assert {"figure4", "figure5"} <= set(jobs)
    assert "figure6" not in jobs


def test_a_dry_run_shows_the_plan_before_anything_is_accepted(project):
    printed = project.snakemake("-np", "--quiet", "host", *PAPER)
    assert "planned as if the licences nyuv2, sbd, taskonomy, voc2012 were accepted" in printed
    assert counts(project, *PAPER) == counts(project, *PAPER, *ACCEPT)


@pytest.mark.parametrize(
    ("accepted", "target", "licence"),
    [
        ("", "all", "taskonomy"),
        ("", "rsa", "taskonomy"),
        ("taskonomy", "all", "voc2012"),
    ],
)
def test_what_is_not_accepted_is_one_line(project, accepted, target, licence):
    accept = f"assets={{accept_licences: [{accepted}]}}"
    printed = project.snakemake(*PAPER, "--config", accept, "--", target, ok=False)
    lines = error_lines(printed)
    assert len(lines) == 1, printed
    assert f"add the licence {licence} (http" in lines[0]
    assert "assets.accept_licences" in lines[0]
    assert "Traceback" not in printed


def test_the_head_of_the_config_says_what_the_table_of_assets_says():
    """Licences, sizes and the number of images in the comment are not left behind by changes."""
    head = (ROOT / "config/paper.yaml").read_text().partition("\nrun: ")[0]
    assets = pd.read_csv(ROOT / "config/assets.tsv", sep="\t", keep_default_na=False)
    assets = assets.set_index("name")
    for name in ("taskonomy", "voc2012", "sbd"):
        row = assets.loc[name]
        assert re.search(rf"^#   {row.licence} +{re.escape(row.licence_address)}$", head, re.M)
    encoders = read_bank(ROOT / "config/networks/taskonomy.tsv")
    assert set(encoders) == set(TASKS)
    for name, row in encoders.items():
        published = f"{TASKS[name].bank_name}_encoder-{row.sha256}.pth"
        assert asset_of(row).file == published
    with torch.device("meta"):
        encoder = TaskonomyEncoder()
    n = sum(values.numel() for values in encoder.parameters())
    n_statistics = sum(
        values.numel() for name, values in encoder.named_buffers() if "running" in name
    )
    assert f"{n:,} parameters and {n_statistics:,} statistics each" in head
    mb = (n + n_statistics) * 4 / 1e6
    assert f"{mb:.1f} MB" in head
    assert f"{20 * mb / 1e3:.1f} GB" in head


# --- the cheap part, run ---


def photographs(folder: Path, n: int) -> None:
    """Write small photographs: smooth noise, each another."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(n):
        coarse = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        coarse.resize((96, 96), Image.Resampling.BICUBIC).save(folder / f"{number}.png")


def fabricate(folder: Path, task: str) -> Path:
    """Write an encoder of the published size as the public bank does, with random weights."""
    from taskrsa.networks.spec import EncoderSpec
    from taskrsa.networks.weights import random_encoder

    definition = TASKS[task]
    encoder = random_encoder(EncoderSpec(input_channels=definition.input_channels), len(task))
    state = {k: v for k, v in encoder.state_dict().items() if "num_batches" not in k}
    file = folder / f"{definition.bank_name}_encoder.pth"
    torch.save({"state_dict": state, "epoch": 3}, file, _use_new_zipfile_serialization=False)
    return file


CHOSEN = ("colorization", "inpainting_whole", "curvature", "segmentsemantic")


def test_public_encoders_become_figures(project):
    """Six photographs at 64 pixels, four encoders; then a damaged one is named."""
    files = {task: fabricate(project.path, task) for task in CHOSEN}
    header = ["name", "label", "type", "loader", "weights", "sha256", "layers", "size"]
    rows = [[*header, "mean", "std", "channels", "task"]]
    for task, file in files.items():
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        layers = "block1 block2 block3 block4 compressed"
        rows.append([task, "", "", "taskonomy", file.name, digest, layers, "", "", "", "", task])
    (project.path / "bank.tsv").write_text("\n".join(map("\t".join, rows)) + "\n")
    photographs(project.path / "photos", 6)
    small = {
        "tasks": list(CHOSEN),
        "image_size": 64,
        "label_size": 64,
        "networks": "bank.tsv",
        "stimuli": {"n": 6, "source": "folder", "options": None},
        "folder": {"path": "photos"},
        "assets": {"plan_unaccepted": False},
        "rsa": {"bootstraps": 10, "permutations": 9},
    }
    (project.path / "small.yaml").write_text(yaml.safe_dump(small))
    config = (*PAPER, "small.yaml")
    printed = project.snakemake(*config, "--", "rsa")
    assert "Figure 6" in printed.partition("left out: ")[2]

    results = project.path / "results/paper"
    for name in ("figure4", "figure5"):
        assert (results / f"figures/{name}.png").stat().st_size > 10_000
    for task in files:
        with h5py.File(results / f"rdms/bank/{task}.h5") as rdms:
            assert rdms["dissimilarities"].shape == (5, 15)
            assert np.ptp(rdms["dissimilarities"][()], axis=1).min() > 1e-3
    table = pd.read_csv(results / "tables/similarity.csv")
    assert set(table["layer"]) == {"block1", "block2", "block3", "block4", "compressed"}
    assert table["rs"].between(-1, 1).all()

    # Nothing is made again; and a file of another content is named before anything runs.
    assert not project.planned(*config, "--", "rsa")
    damaged = files["curvature"]
    damaged.write_bytes(damaged.read_bytes()[:-1])
    rdms = project.path / "results/paper/rdms/bank/curvature.h5"
    before = rdms.read_bytes()
    printed = project.snakemake(
        *config, "--forcerun", "network_rdms", "--", f"{rdms.relative_to(project.path)}", ok=False
    )
    lines = error_lines(printed)
    assert len(lines) == 1, printed
    assert f"{damaged.name} has SHA-256" in lines[0]
    assert rdms.read_bytes() == before
