"""The whole DAG on tiny data: what it writes, what makes it stale, that it repeats itself."""

from __future__ import annotations

import os
import shutil
import time

import h5py
import numpy as np
import pandas as pd
import pytest
from conftest import Preloaded, Project

SMOKE = ("--configfile", "config/smoke.yaml")
LAYERS = ["block1", "block2", "block3", "block4", "compressed"]
TRAINING = {"prepare_split", "prepare_stimuli", "derive_labels", "train_encoder", "train_small"}
EXTRACTION = {"network_rdms", "other_rdms", "label_rdms", "small_rdms", "small_variant_rdms"}
EXTRACTION |= {"target_rdms", "probe_source"}
SUMMARIES = {"quality"}
TARGET = "targets/outdoor"
FIGURES = {"figure4", "figure5", "figure6", "figure_type_separation", "figure_label_agreement"}
TRANSFER_TABLES = {"small_vs_bank", "robustness_images", "robustness_models", "model_selection"}

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
        task: load_rdm(str(smoke.path / f"results/smoke/rdms/bank/{task}.h5"), file_type="hdf5")
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


def test_features_are_written_of_labelled_places_alone(smoke):
    results = smoke.path / "results/smoke"
    kept = [path for path in results.rglob("*.h5") if "feature" in str(path.relative_to(results))]
    assert len(kept) == 9
    for path in kept:
        assert path.parent == results / TARGET / "features"
        assert path.stat().st_size < 200_000
    # 40 stimuli have 780 pairs: five layers of float32, and little else.
    assert (results / "rdms/bank/edge2d.h5").stat().st_size < 60_000


def test_figures_and_trees_are_there(smoke):
    figures = smoke.path / "results/smoke/figures"
    names = ("figure4", "figure5", "figure6", "type_separation", "label_agreement", "presets")
    names += ("quality", "figure7", "figureS1", "figureS3", "affinity", "selection")
    names += tuple(f"robustness_{factor}" for factor in ("images", "width", "stage", "seed"))
    for name in names:
        for suffix in ("pdf", "png", "csv"):
            assert (figures / f"{name}.{suffix}").stat().st_size > 200, (name, suffix)
    newick = (smoke.path / "results/smoke/trees/compressed_paper.nwk").read_text()
    assert newick.rstrip().endswith(";")
    assert newick.count(",") == 8


def compressed(smoke: Project, bank: str) -> dict[str, np.ndarray]:
    from taskrsa.rsa.rdm_file import read_rdms

    folder = smoke.path / "results/smoke/rdms" / bank
    found = {path.stem: read_rdms(path, ["compressed"]) for path in sorted(folder.glob("*.h5"))}
    return {task: rdms.dissimilarities[0] for task, rdms in found.items()}


def test_rankings_are_those_of_the_rdm_files(smoke):
    from scipy.stats import spearmanr

    bank = compressed(smoke, "bank")
    small = [compressed(smoke, f"small_w4_s{seed}")["edge2d"] for seed in (0, 1)]
    rankings = table(smoke, "tables/figure7.csv")
    assert set(rankings["model"]) == {
        "autoencoder",
        "edge2d",
        "segment2d",
        "curvature",
        "rgb2depth",
    }
    row = rankings.set_index(["model", "other"]).loc[("edge2d", "rgb2depth")]
    expected = np.mean([spearmanr(one, bank["rgb2depth"]).statistic for one in small])
    assert row["rs_small"] == pytest.approx(expected, abs=1e-5)
    expected = spearmanr(bank["edge2d"], bank["rgb2depth"]).statistic
    assert row["rs_bank"] == pytest.approx(expected, abs=1e-5)
    of_edges = rankings[(rankings["model"] == "edge2d") & (rankings["other"] != "edge2d")]
    agreement = table(smoke, "tables/small_vs_bank.csv").set_index(["task", "own_task"])
    expected = spearmanr(of_edges["rs_small"], of_edges["rs_bank"]).statistic
    assert agreement.loc[("edge2d", "left out"), "spearman"] == pytest.approx(expected, abs=1e-5)
    assert agreement.loc["published"][["pearson", "spearman"]].iloc[0].tolist() == [0.84, 0.85]


def test_affinities_choose_and_table1_counts(smoke):
    affinity = table(smoke, "tables/affinity.csv")
    assert list(affinity) == ["source", "target", "affinity"]
    matrix = affinity.pivot(index="source", columns="target", values="affinity")
    assert matrix.shape == (9, 9)
    similarity = table(smoke, "tables/similarity.csv")
    similarity = similarity[similarity["layer"] == "compressed"]
    rs = {}
    for a, b, value in similarity[["model_a", "model_b", "rs"]].itertuples(index=False):
        rs.setdefault(a, {})[b] = rs.setdefault(b, {})[a] = value
    places = []
    for target in matrix:
        choice = max(rs[target], key=rs[target].get)
        others = matrix[target].drop(target)
        places.append((others > others[choice]).sum() + 1)
    table1 = table(smoke, "tables/table1.csv").set_index("method")
    assert table1.loc["rsa", ["top1", "top3", "top5"]].tolist() == [
        sum(place <= n for place in places) for n in (1, 3, 5)
    ]
    assert table1.loc["random", "top3"] == pytest.approx(9 * 3 / 8)
    assert table1.loc["published", ["top1", "top3", "top5", "n"]].tolist() == [7, 14, 16, 17]
    measures = {"rsa", "rsa_uncentred", "cka_linear", "pearson_z", "cosine_z", "laplacian_z"}
    assert set(table1.index) == {*measures, "rsa_small", "random", "quality", "published"}


def test_stages_and_widths_are_ranked(smoke):
    for factor, values in (("width", [2, 4, 8]), ("stage", [0, 25, 50, 100])):
        rows = table(smoke, f"tables/robustness_{factor}.csv")
        assert list(rows)[:5] == ["factor", "value", "task", "draw", "reference"]
        assert sorted(rows["value"].unique()) == values
        assert set(rows["task"]) == {"edge2d", "rgb2depth", "mean"}
    last = rows[(rows["value"] == 100) & (rows["reference"] == "default small model")]
    assert (last["spearman"] > 0.999).all()  # the ranking of the finished model is its own
    seeds = table(smoke, "tables/robustness_seed.csv")
    assert set(seeds["reference"]) == {"another seed", "bank"}


def test_every_job_leaves_a_log_and_a_progress_bar(smoke):
    logs = smoke.path / "results/smoke/logs"
    log = (logs / "train_encoder_edge2d.log").read_text()
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
    assert stale >= TRANSFER_TABLES
    assert not stale & {*TRAINING, *EXTRACTION}


def test_how_rankings_are_compared_concerns_their_tables_alone(smoke, edited):
    edited("scripts/taskrsa/analysis/ranking.py")
    stale = smoke.planned(*SMOKE)
    assert stale >= TRANSFER_TABLES
    assert not stale & {*TRAINING, *EXTRACTION, "layer_similarity", "taxonomy_agreement"}


def test_a_measure_concerns_the_bank_s_matrices_but_no_training(smoke, edited):
    edited("scripts/taskrsa/rsa/measures.py")
    stale = smoke.planned(*SMOKE)
    assert stale >= {"network_rdms", "model_selection", "figure_selection", "table1"}
    assert not stale & {*TRAINING, "small_rdms", "probe_source"}


def test_the_probe_concerns_the_affinities(smoke, edited):
    edited("scripts/taskrsa/training/probe.py")
    stale = smoke.planned(*SMOKE)
    assert stale >= {"probe_source", "affinity", "model_selection", "figure6", "table1"}
    assert not stale & {*TRAINING, *EXTRACTION - {"probe_source"}, "small_vs_bank", "figure7"}


def test_the_rdm_module_concerns_the_networks_rdms_but_no_training(smoke, edited):
    edited("scripts/taskrsa/rsa/rdm.py")
    stale = smoke.planned(*SMOKE)
    assert stale >= {*EXTRACTION - {"probe_source"}, "layer_similarity", *FIGURES}
    assert not stale & TRAINING


def test_a_figure_s_module_concerns_it_alone(smoke, edited):
    edited("scripts/taskrsa/figures/presets.py")
    assert smoke.planned(*SMOKE) == {"figure_presets", "report_page"}


def test_the_look_of_figures_concerns_figures_alone(smoke, edited):
    edited("scripts/taskrsa/figures/style.py")
    stale = smoke.planned(*SMOKE)
    assert stale >= {*FIGURES, "figure_presets", "figure7", "figure_ranking", "report_page"}
    assert {name for name in stale if not name.startswith("figure")} == {"report_page"}


def test_the_training_loop_concerns_the_bank_and_what_follows(smoke, edited):
    edited("scripts/taskrsa/training/loop.py")
    stale = smoke.planned(*SMOKE)
    assert stale >= {"train_encoder", "train_small", "network_rdms", "probe_source", "figure4"}
    assert not stale & {"prepare_split", "derive_labels", "random_encoders"}


def test_a_name_in_the_task_dictionary_retrains_nothing(smoke, edited):
    edited("scripts/taskrsa/tasks/dictionary.py")
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
        ("small", {"recipe": {"steps": 9}}, {"train_small", "figure7"}, {"train_encoder"}),
        ("small", {"seeds": [0, 1, 2]}, {"train_small", "small_vs_bank"}, {"train_encoder"}),
        ("robustness", {"subsets": 4}, {"robustness_images"}, {"train_small", "small_vs_bank"}),
        (
            "affinities",
            {"probe": {"n_train": 50}},
            {"probe_source", "table1"},
            {"train_small", "network_rdms"},
        ),
    ],
)
def test_a_config_value_makes_stale_what_uses_it(smoke, tmp_path, key, value, expected, spared):
    import yaml

    extra = tmp_path / "extra.yaml"
    extra.write_text(yaml.safe_dump({key: value}))
    stale = smoke.planned(*SMOKE, str(extra))
    assert expected <= stale
    assert not stale & spared
    # The report shows the whole config, so every value concerns it.
    assert bool(stale - {"report_page"}) == bool(expected)


def test_one_core_gives_the_same_bytes(smoke, tmp_path):
    """All is made again but the data and what was made of most of the tasks alone."""
    shutil.copytree(smoke.path, tmp_path / "again")
    other, results = Project(tmp_path / "again"), tmp_path / "again/results/smoke"
    again = {"edge2d", "rgb2depth"}
    of_target = [f"{TARGET}/{name}" for name in ("data.h5", "images.csv", "cells.h5")]
    # Made with the pack of stimuli, which would be made again for it, and all after it.
    kept = [results / part for part in ("stimuli.csv", "data", "labels", *of_target)]
    of_target = [f"{TARGET}/{name}" for name in ("features", "finetuned/block4")]
    rdms = [f"rdms/{kind}" for kind in ("bank", "bank_variants", "bank_measures", "labels")]
    for part in ("bank", "small", "affinity", *rdms, *of_target):
        of_tasks = [path for path in (results / part).iterdir() if path.stem not in SUMMARIES]
        assert again <= {path.stem for path in of_tasks}
        kept += [path for path in of_tasks if path.stem not in again]
    for path in results.rglob("*"):
        if path.is_file() and not {path, *path.parents}.intersection(kept):
            path.unlink()
    # A server of its own, for it has another seed of hashes.
    other.snakemake(*SMOKE, cores=1, server=Preloaded())
    for kind in ("csv", "nwk", "h5", "safetensors", "png", "pdf"):
        files = sorted((smoke.path / "results/smoke").rglob(f"*.{kind}"))
        # What fine-tuning costs is a timing, and so is how long measures took.
        files = [p for p in files if p.name != "cost.csv" and p.parent.name != "seconds"]
        assert files
        for path in files:
            repeated = other.path / path.relative_to(smoke.path)
            assert path.read_bytes() == repeated.read_bytes(), path.name


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
    for name in ("figure4", "figure5", "figure6", "figure7", "figureS1", "figureS3", "table1"):
        assert "Nothing to be done" in smoke.snakemake(*SMOKE, "--", name)
