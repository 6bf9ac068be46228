"""Targets in the whole DAG: ranking, fine-tuning, scores, and trainings that are killed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time

import numpy as np
import pandas as pd
import psutil
import pytest
import yaml
from conftest import Project, copy_project
from PIL import Image

SMOKE = ("--configfile", "config/smoke.yaml")
CLASSES = 9

pytestmark = pytest.mark.workflow


def table(smoke: Project, name: str) -> pd.DataFrame:
    return pd.read_csv(smoke.path / "results/smoke" / name)


def target_table(smoke: Project, name: str) -> pd.DataFrame:
    return table(smoke, f"targets/outdoor/{name}.csv")


def test_the_bank_is_ranked_by_the_mean_over_seeds(smoke):
    from scipy.stats import spearmanr
    from taskrsa.rsa.rdm_file import read_rdms

    rdms = smoke.path / "results/smoke/rdms"
    rows = target_table(smoke, "ranking")
    assert {"model", "type", "rs", "ci_low", "ci_high", "p", "q", "tied"} <= set(rows)
    assert len(rows) == 9
    assert rows["rs"].is_monotonic_decreasing
    bank = read_rdms(rdms / "bank/edge2d.h5", ["compressed"]).dissimilarities[0]
    target = [
        read_rdms(rdms / f"target_outdoor/s{seed}.h5", ["compressed"]).dissimilarities[0]
        for seed in (0, 1)
    ]
    expected = np.mean([spearmanr(one, bank).statistic for one in target])
    assert rows.set_index("model").loc["edge2d", "rs"] == pytest.approx(expected, abs=1e-5)
    assert (rows["q"] >= rows["p"] - 1e-9).all()


def test_every_network_has_every_measure_or_a_reason(smoke):
    measures, advice = target_table(smoke, "measures"), target_table(smoke, "advice")
    assert measures.groupby("measure").size().eq(9).all()
    assert measures["score"].notna().eq(measures["reason"].isna()).all()
    assert set(measures.loc[measures["score"].isna(), "measure"]) == {"prior"}
    assert {"rank_low", "rank_high", "tied"} <= set(advice)
    assert advice["mean_rank"].is_monotonic_increasing
    assert advice["tied"].iloc[0] == "yes"
    assert sorted(advice["model"]) == sorted(target_table(smoke, "ranking")["model"])


def test_scores_hold_every_initialisation_in_the_order_of_the_ranking(smoke):
    scores = target_table(smoke, "scores")
    assert {"model", "rs", "score", "score_sd", "n_seeds", "metric"} <= set(scores)
    assert scores["model"].tolist()[-3:] == ["random", "random_small", "small"]
    assert scores["model"].tolist()[:-3] == target_table(smoke, "ranking")["model"].tolist()
    assert scores["score"].between(0, 1).all()
    assert len([column for column in scores if column.startswith("iou_")]) == CLASSES
    run = target_table(smoke, "finetuned/block4/edge2d/s0/scores")
    row = scores.set_index("model").loc["edge2d"]
    assert row["score"] == pytest.approx(run["score"].iloc[0], abs=1e-5)
    choice = target_table(smoke, "choice").set_index("statistic")
    assert choice.loc["choice", "model"] == scores["model"].iloc[0]
    assert choice.loc["same_task", "model"] == "segmentsemantic"


def test_the_score_is_that_of_the_saved_network_on_the_whole_val_set(smoke):
    from taskrsa.networks.target import load_target
    from taskrsa.targets.sets import open_sets
    from taskrsa.training.objectives import predict

    folder = smoke.path / "results/smoke/targets/outdoor"
    val = open_sets(folder / "data.h5")["val"]
    run = folder / "finetuned/block4/edge2d/s0"
    network = load_target(run / "weights.safetensors")
    confusion = np.zeros((CLASSES, CLASSES))
    sizes = set()
    for number in range(len(val)):
        image, mask = val.image(number), val.label(number)
        found = predict(network, image).numpy()
        assert found.shape == mask.shape
        sizes.add(mask.shape)
        known = mask != 255
        np.add.at(confusion, (mask[known], found[known]), 1)
    assert len(sizes) > 1  # images at their own size
    union = confusion.sum(0) + confusion.sum(1) - np.diag(confusion)
    iou = np.diag(confusion)[union > 0] / union[union > 0]
    scores = pd.read_csv(run / "scores.csv")
    assert scores["score"].iloc[0] == pytest.approx(iou.mean(), abs=1e-5)


def test_taps_are_compared_and_figures_are_there(smoke):
    taps = target_table(smoke, "taps")
    both = taps[taps["model"] == "edge2d"]
    assert both["tap"].tolist() == ["block4", "compressed"]
    for name in ("ranking", "scores", "choice"):
        for suffix in ("pdf", "png", "csv"):
            file = smoke.path / f"results/smoke/figures/outdoor/{name}.{suffix}"
            assert file.stat().st_size > 200, file


@pytest.mark.parametrize(
    ("change", "expected", "spared"),
    [
        (
            {"recipe": {"steps": 5}},
            {"finetune", "target_scores", "figure_scores"},
            {"train_target_model", "rank_networks", "train_encoder", "prepare_target"},
        ),
        (
            {"small": {"recipe": {"steps": 9}}},
            {"train_target_model", "target_rdms", "figure_ranking", "target_scores"},
            {"finetune", "prepare_target", "train_small"},
        ),
        (
            {"outdoor": {"n_val": 7}},
            {"prepare_target", "finetune", "figure_ranking"},
            {"train_encoder"},
        ),
        ({"runtime": 77}, set(), {"finetune"}),
    ],
)
def test_a_setting_makes_stale_what_uses_it(smoke, tmp_path, change, expected, spared):
    extra = tmp_path / "extra.yaml"
    extra.write_text(yaml.safe_dump({"targets": {"outdoor": change}}))
    # The page shows the config.
    stale = smoke.planned(*SMOKE, str(extra)) - {"report_page"}
    assert expected <= stale
    assert not stale & spared
    assert bool(stale) == bool(expected)


# --- a devkit of the user's, and what can be wrong with it ---


@pytest.fixture
def devkit(project) -> Project:
    """Return a project with a small devkit in Pascal VOC's layout and a config that uses it."""
    root = project.path / "VOC2012"
    rng = np.random.default_rng(0)
    for part in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (root / part).mkdir(parents=True)
    lists = {"train": ["t0", "t1", "t2"], "val": ["v0", "v1"]}
    for name in (*lists["train"], *lists["val"]):
        pixels = rng.integers(0, 256, (40, 48, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(root / f"JPEGImages/{name}.jpg")
        ids = rng.integers(0, 21, (40, 48)).astype(np.uint8)
        Image.fromarray(ids).save(root / f"SegmentationClass/{name}.png")
    for name, ids in lists.items():
        (root / f"ImageSets/Segmentation/{name}.txt").write_text("\n".join(ids) + "\n")
    (project.path / "voc.yaml").write_text(yaml.safe_dump({"targets": {"voc": VOC}}))
    return project


VOC = {
    "kind": "segmentation",
    "path": "VOC2012",
    "finetune": "all",
    "head": {"width": 8, "rates": [1, 2]},
    "recipe": {"steps": 4, "batch_size": 2},
}
FOLDER = "results/smoke/targets/voc"
IMAGES = f"{FOLDER}/images.csv"
WORDS = (*SMOKE, "voc.yaml", "--")


def test_a_devkit_is_listed_and_trained_on(devkit):
    weights = f"{FOLDER}/finetuned/block4/random_small/s0/weights.safetensors"
    devkit.snakemake(*WORDS, IMAGES, weights)
    rows = table(devkit, "targets/voc/images.csv")
    assert len(rows) == 5
    # A photograph that changed makes the training stale, though its mask is the same.
    photographs = devkit.path / "VOC2012/JPEGImages"
    turned = Image.open(photographs / "t0.jpg").transpose(Image.Transpose.ROTATE_180)
    turned.save(photographs / "t0.jpg")
    devkit.snakemake(*WORDS, IMAGES)
    assert "finetune" in devkit.planned(*WORDS, weights)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda root: (root / "SegmentationClass/t1.png").unlink(), ["t1"]),
        (
            lambda root: Image.fromarray(np.zeros((40, 47), np.uint8)).save(
                root / "SegmentationClass/t1.png"
            ),
            ["SegmentationClass/t1.png", "40"],
        ),
        (
            lambda root: Image.fromarray(np.full((40, 48), 21, np.uint8)).save(
                root / "SegmentationClass/t1.png"
            ),
            ["SegmentationClass/t1.png", "21"],
        ),
        (
            lambda root: (root / "ImageSets/Segmentation/train.txt").write_text(""),
            ["ImageSets/Segmentation/train.txt"],
        ),
        (
            lambda root: (root / "ImageSets/Segmentation/val.txt").unlink(),
            ["ImageSets/Segmentation/val.txt"],
        ),
    ],
    ids=["no mask", "another size", "an id above 20", "an empty list", "no list"],
)
def test_what_is_wrong_with_a_devkit_is_one_line(devkit, spoil, words):
    spoil(devkit.path / "VOC2012")
    printed = devkit.snakemake(*WORDS, IMAGES, ok=False)
    lines = [line for line in printed.splitlines() if line.startswith("error:")]
    assert len(lines) == 1, printed
    assert all(word in lines[0] for word in words), lines
    assert "Traceback" not in printed
    assert not (devkit.path / IMAGES).exists()


def test_a_devkit_that_is_neither_named_nor_fetched_is_one_line(project):
    voc = {"voc": {"kind": "segmentation", "source": "voc2012"}}
    (project.path / "voc.yaml").write_text(yaml.safe_dump({"targets": voc}))
    printed = project.snakemake(*SMOKE, "voc.yaml", ok=False)
    assert "config, targets.voc.path: is not set; name the folder of images" in printed
    assert "or add the licence voc2012 (" in printed
    assert not (project.path / "results").exists()


def test_a_rule_writes_the_archive_for_the_test_server(devkit):
    voc = VOC | {"test_list": "val"}
    (devkit.path / "voc.yaml").write_text(yaml.safe_dump({"targets": {"voc": voc}}))
    archive = f"{FOLDER}/finetuned/block4/random_small/s0/submission.tar"
    devkit.snakemake(*WORDS, archive)
    with tarfile.open(devkit.path / archive) as tar:
        names = tar.getnames()
        assert len(names) == 2
        assert all(n.startswith("results/VOC2012/Segmentation/comp6_test_cls/") for n in names)
        with Image.open(tar.extractfile(names[0])) as mask:
            assert mask.mode == "P"
            assert np.asarray(mask).max() < 21


# --- kills, through Snakemake ---

STEPS = 400
TARGET = "results/smoke/targets/outdoor"
WEIGHTS = f"{TARGET}/finetuned/block4/random_small/s0/weights.safetensors"
LOG = "results/smoke/logs/finetune_random_small_0_block4_outdoor.log"


@pytest.fixture(scope="module")
def long_training(tmp_path_factory) -> tuple[Project, bytes]:
    """Return a project whose next job is a training, and the weights that it should end with."""
    project = copy_project(tmp_path_factory.mktemp("kills") / "project")
    recipe = {"steps": STEPS, "checkpoint_steps": 1}
    (project.path / "long.yaml").write_text(
        yaml.safe_dump({"targets": {"outdoor": {"recipe": recipe}}})
    )
    project.snakemake(*SMOKE, "long.yaml", "--", f"{TARGET}/images.csv")
    whole = project.path.with_name("whole")
    shutil.copytree(project.path, whole)
    Project(whole).snakemake(*SMOKE, "long.yaml", "--", WEIGHTS)
    return project, (whole / WEIGHTS).read_bytes()


def start(project: Project) -> tuple[subprocess.Popen, psutil.Process]:
    """Start Snakemake; return it and its trainer once that has saved its state again."""
    state = project.path / WEIGHTS.replace(".safetensors", ".resume")
    before = state.stat().st_mtime_ns if state.exists() else 0
    words = ["-m", "snakemake", "--cores", "1", "--rerun-incomplete", *SMOKE, "long.yaml"]
    running = subprocess.Popen(
        [sys.executable, *words, "--", WEIGHTS],
        cwd=project.path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.time() + 120
    while not (state.exists() and state.stat().st_mtime_ns > before):
        assert running.poll() is None, (project.path / LOG).read_text()
        assert time.time() < deadline
        time.sleep(0.01)
    children = psutil.Process(running.pid).children(recursive=True)
    trainers = [
        child
        for child in children
        if any(word.endswith("finetune.py") for word in child.cmdline()) and not child.children()
    ]
    return running, trainers[0]


@pytest.mark.parametrize("victim", ["trainer", "snakemake", "both"])
def test_a_killed_training_goes_on_and_ends_the_same(long_training, tmp_path, victim):
    original, expected = long_training
    project = Project(tmp_path / "project")
    shutil.copytree(original.path, project.path)
    running, trainer = start(project)
    if victim in ("snakemake", "both"):
        os.kill(running.pid, signal.SIGKILL)
    if victim in ("trainer", "both"):
        trainer.kill()
    running.wait()
    if victim != "trainer":
        project.snakemake(*SMOKE, "long.yaml", "--unlock")
    # Where only Snakemake was killed, its trainer is still at work.
    project.snakemake("--rerun-incomplete", *SMOKE, "long.yaml", "--", WEIGHTS)
    log = (project.path / LOG).read_text()
    # Nothing is trained twice: the second waits, or continues from what the first has left.
    assert "waiting for it" in log or "continues from step" in log, log
    assert (project.path / WEIGHTS).read_bytes() == expected
    assert not list((project.path / WEIGHTS).parent.glob("*.resume"))
