"""The whole DAG on tiny data: what it writes, what makes it stale, that it repeats itself."""

from __future__ import annotations

import os
import time

import h5py
import numpy as np
import pandas as pd
import pytest
from conftest import Project, copy_project

SMOKE = ("--configfile", "config/smoke.yaml")
LAYERS = ["block1", "block2", "block3", "block4", "compressed"]
TRAINING = {"prepare_split", "prepare_stimuli", "derive_labels", "train_encoder"}
FIGURES = {"figure4", "figure5", "figure_separation", "figure_label_agreement"}

pytestmark = pytest.mark.workflow


def table(smoke: Project, name: str) -> pd.DataFrame:
    return pd.read_csv(smoke.path / "results/smoke" / name)


def test_tables_have_the_columns_that_others_rely_on(smoke):
    assert list(table(smoke, "stimuli.csv")) == ["image", "path", "sha256"]
    assert list(table(smoke, "bank/edge2d/learning_curve.csv")) == [
        "step",
        "train_loss",
        "val_loss",
    ]
    quality = table(smoke, "bank/quality.csv")
    assert {"model", "task", "val_loss", "constant_loss", "error_removed"} <= set(quality)
    assert (
        quality["error_removed"] - (1 - quality.val_loss / quality.constant_loss)
    ).abs().max() < 1e-4
    similarity = table(smoke, "tables/similarity.csv")
    needed = ["layer", "model_a", "model_b", "rs", "ci_low", "ci_high", "p"]
    assert list(similarity)[: len(needed)] == needed
    separation = table(smoke, "tables/type_separation.csv")
    assert {"layer", "within", "between", "difference", "p", "ari_paper", "ari_average"} <= set(
        separation
    )
    assert set(separation["control"]) == {"none", "pixels", "random", "pixels+random"}


def test_similarity_covers_every_pair_at_every_layer(smoke):
    similarity = table(smoke, "tables/similarity.csv")
    assert similarity.groupby("layer").size().to_dict() == dict.fromkeys([*LAYERS, "labels"], 36)
    assert similarity["rs"].between(-1, 1).all()
    assert (similarity["ci_low"] <= similarity["ci_high"]).all()
    assert similarity["p"].between(1 / 21 - 1e-6, 1).all()


def test_rdm_files_open_with_rsatoolbox_and_give_the_similarity_of_the_table(smoke):
    from rsatoolbox.rdm import load_rdm
    from scipy.stats import spearmanr

    rdms = {
        task: load_rdm(str(smoke.path / f"results/smoke/rdms/trained/{task}.h5"), file_type="hdf5")
        for task in ("edge2d", "rgb2depth")
    }
    assert list(rdms["edge2d"].rdm_descriptors["layer"]) == LAYERS
    assert rdms["edge2d"].n_cond == 40
    rows = table(smoke, "tables/similarity.csv").set_index(["layer", "model_a", "model_b"])
    for number, layer in enumerate(LAYERS):
        pair = [rdm.dissimilarities[number] for rdm in rdms.values()]
        assert not np.isnan(pair).any()
        expected = spearmanr(*pair).statistic
        assert rows.loc[(layer, "edge2d", "rgb2depth"), "rs"] == pytest.approx(expected, abs=1e-5)


def test_features_are_never_written(smoke):
    results = smoke.path / "results/smoke"
    assert not [p for p in results.rglob("*") if "feature" in p.name]
    # 40 stimuli have 780 pairs: five layers of float32, and little else.
    assert (results / "rdms/trained/edge2d.h5").stat().st_size < 60_000


def test_figures_and_trees_are_there(smoke):
    figures = smoke.path / "results/smoke/figures"
    for name in ("figure4", "figure5", "type_separation", "label_agreement", "presets", "quality"):
        for suffix in ("pdf", "png", "csv"):
            assert (figures / f"{name}.{suffix}").stat().st_size > 200, (name, suffix)
    newick = (smoke.path / "results/smoke/trees/compressed_paper.nwk").read_text()
    assert newick.rstrip().endswith(";")
    assert newick.count(",") == 8


def test_every_job_leaves_a_log_and_a_progress_bar(smoke):
    logs = smoke.path / "results/smoke/logs"
    log = (logs / "train_edge2d.log").read_text()
    assert "100%" in log
    assert "of the constant predictor's error removed" in log


def test_a_second_run_has_nothing_to_do(smoke):
    assert "Nothing to be done" in smoke.snakemake(*SMOKE)


def test_touched_files_make_nothing_stale(smoke):
    now = time.time()
    for path in [*smoke.path.glob("scripts/**/*.py"), *smoke.path.glob("config/*")]:
        os.utime(path, (now, now))
    assert smoke.planned(*SMOKE) == set()


@pytest.fixture
def edited(smoke):
    """Yield a function that appends to a file; the files are as before after the test."""
    before = {}

    def edit(name: str, text: str = "\n# edited\n") -> None:
        path = smoke.path / name
        before.setdefault(path, path.read_bytes())
        with path.open("a") as stream:
            stream.write(text)

    yield edit
    for path, content in before.items():
        path.write_bytes(content)
    assert smoke.planned(*SMOKE) == set()


def test_an_rsa_module_concerns_similarities_and_figures_but_no_training(smoke, edited):
    edited("scripts/taskrsa/rsa/similarity.py")
    stale = smoke.planned(*SMOKE)
    assert stale >= {"layer_similarity", "type_separation", "similarity", "tree", *FIGURES}
    assert not stale & {*TRAINING, "network_rdms"}


def test_the_rdm_module_concerns_the_networks_rdms_but_no_training(smoke, edited):
    edited("scripts/taskrsa/rsa/rdm.py")
    stale = smoke.planned(*SMOKE)
    assert stale >= {"network_rdms", "label_rdms", "layer_similarity", *FIGURES}
    assert not stale & TRAINING


def test_a_figure_module_concerns_figures_alone(smoke, edited):
    edited("scripts/taskrsa/figures/taxonomy.py")
    assert smoke.planned(*SMOKE) == {*FIGURES, "figure_presets"}


def test_the_training_loop_concerns_the_bank_and_what_follows(smoke, edited):
    edited("scripts/taskrsa/training.py")
    stale = smoke.planned(*SMOKE)
    assert stale >= {"train_encoder", "network_rdms", "figure4"}
    assert not stale & {"prepare_split", "derive_labels", "random_encoders"}


def test_a_name_in_the_task_dictionary_retrains_nothing(smoke, edited):
    edited("scripts/taskrsa/tasks.py")
    stale = smoke.planned(*SMOKE)
    assert stale >= FIGURES
    assert not stale & {*TRAINING, "network_rdms"}


def test_another_source_s_module_makes_nothing_stale(smoke, edited):
    edited("scripts/taskrsa/data/taskonomy.py")
    assert smoke.planned(*SMOKE) == set()


@pytest.mark.parametrize(
    ("key", "value", "expected", "spared"),
    [
        ("rsa", {"bootstraps": 30}, {"layer_similarity", "figure4"}, {*TRAINING, "network_rdms"}),
        ("rsa", {"preset": "recommended"}, {"network_rdms", "label_rdms"}, TRAINING),
        ("training", {"recipe": {"steps": 9}}, {"train_encoder"}, {"prepare_split", "label_rdms"}),
        ("stimuli", {"n": 41}, {"prepare_stimuli", "network_rdms"}, {"prepare_split"}),
        ("training", {"runtime": 17}, set(), {"train_encoder"}),
    ],
)
def test_a_config_value_makes_stale_what_uses_it(smoke, tmp_path, key, value, expected, spared):
    import yaml

    extra = tmp_path / "extra.yaml"
    extra.write_text(yaml.safe_dump({key: value}))
    stale = smoke.planned(*SMOKE, str(extra))
    assert expected <= stale
    assert not stale & spared
    assert bool(stale) == bool(expected)


def test_one_core_gives_the_same_bytes(smoke, tmp_path):
    other = copy_project(tmp_path / "again")
    other.snakemake(*SMOKE, cores=1)
    for kind in ("csv", "nwk", "h5", "safetensors", "png", "pdf"):
        files = sorted((smoke.path / "results/smoke").rglob(f"*.{kind}"))
        assert files
        for path in files:
            again = other.path / path.relative_to(smoke.path)
            assert path.read_bytes() == again.read_bytes(), path.name


def test_stimuli_are_the_same_for_every_model(smoke):
    digests = set()
    for path in (smoke.path / "results/smoke/rdms").glob("*/*.h5"):
        with h5py.File(path) as file:
            digests |= {str(v) for k, v in _attributes(file) if "digest" in k}
    assert len(digests) == 1


def _attributes(group):
    yield from group.attrs.items()
    for child in group.values():
        if isinstance(child, h5py.Group):
            yield from _attributes(child)


def test_named_targets_build_alone(smoke):
    assert smoke.planned(
        *SMOKE, "--forcerun", "figure5", "--until", "figure5", "--", "figure5"
    ) == {"figure5"}
    for name in ("figure4", "figure5"):
        assert "Nothing to be done" in smoke.snakemake(*SMOKE, "--", name)
