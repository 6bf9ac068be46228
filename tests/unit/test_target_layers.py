"""Layers of networks by similarity to what stands for a target, and the brain as a target."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from made_rdms import IMAGES, N, mixtures, stack, write
from scipy.stats import rankdata, spearmanr
from taskrsa.analysis.layers import layer_table
from taskrsa.errors import RepresentationError
from taskrsa.networks.table import read_bank
from taskrsa.rsa.given_rdms import read_given
from taskrsa.rsa.inference import bootstrap_counts, noise_ceiling, resampled_similarity
from taskrsa.rsa.rdm_file import read_rdms
from taskrsa.rsa.similarity import similarity_between, similarity_matrix
from taskrsa.rsa.stacks import stack_subjects

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "results/reference/brain"
SUBJECTS = [f"human_it_subject{number}_*" for number in range(1, 5)]


def example(n_subjects=3):
    small, bank = mixtures()
    target = stack([f"s{i}" for i in range(n_subjects)], small[:n_subjects, 0])
    layers = {"depth1": stack("ab", bank[:2]), "last": stack("abc", bank[2:5])}
    return target, layers, bootstrap_counts(N, 60, seed=1)


def test_the_similarity_of_a_layer_is_the_mean_over_the_subjects():
    target, layers, counts = example()
    styles = {"a": ("Network A", "2D")}
    table = layer_table(target, layers, counts, styles=styles)
    assert table["rs"].is_monotonic_decreasing
    rows = table.set_index(["model", "layer"])
    assert [*rows.index.sort_values()] == sorted(
        [("a", "depth1"), ("b", "depth1"), ("a", "last"), ("b", "last"), ("c", "last")]
    )
    rdm = layers["last"].rdms[2]
    expected = np.mean([spearmanr(subject, rdm).statistic for subject in target.rdms])
    assert rows.loc[("c", "last"), "rs"] == pytest.approx(expected, abs=1e-9)
    draws = resampled_similarity(target.rdms, counts, others=rdm[None]).mean(axis=(1, 2))
    ends = np.quantile(draws, [0.025, 0.975])
    np.testing.assert_allclose(rows.loc[("c", "last"), ["ci_low", "ci_high"]].tolist(), ends)
    assert rows.loc[("a", "last"), ["label", "type"]].tolist() == ["Network A", "2D"]
    assert table["tied"][0] == "yes"
    assert table["behind"][0] == 0
    assert table["rank"].tolist() == [1, 2, 3, 4, 5]
    low, high = noise_ceiling(target.rdms)
    assert (table["ceiling_low"] == low).all()
    assert (table["ceiling_high"] == high).all()
    assert (table["n_subjects"] == 3).all()
    assert (table["n_images"] == N).all()


def test_no_model_is_above_the_ceiling_and_the_mean_of_the_subjects_reaches_it():
    target, layers, counts = example()
    ranks = rankdata(target.rdms, axis=1).mean(axis=0)
    layers = {"last": stack(["mean", "a"], np.stack([ranks, layers["last"].rdms[0]]))}
    table = layer_table(target, layers, counts)
    assert table["model"][0] == "mean"
    assert table["rs"][0] == pytest.approx(table["ceiling_high"][0])
    assert (table["rs"] <= table["ceiling_high"] + 1e-9).all()


def test_a_target_of_one_rdm_has_no_ceiling():
    target, layers, counts = example(n_subjects=1)
    table = layer_table(target, layers, counts)
    assert table[["ceiling_low", "ceiling_high", "n_subjects"]].isna().all(axis=None)
    assert table[["ci_low", "behind_high"]].notna().all(axis=None)


def test_rho_a_is_of_values_intervals_and_ceiling():
    target, layers, counts = example()
    target = stack(target.models, np.round(target.rdms * 2))  # many are equal
    by_spearman = layer_table(target, layers, counts)
    by_rho_a = layer_table(target, layers, counts, compare="rho_a")
    for column in ("rs", "ci_low", "ci_high", "ceiling_low", "ceiling_high"):
        assert (by_rho_a[column] < by_spearman[column]).all(), column
    first = by_rho_a.iloc[0]
    rdm = layers[first["layer"]].only([first["model"]]).rdms
    expected = similarity_between(target.rdms, rdm, compare="rho_a").mean()
    assert first["rs"] == pytest.approx(expected)


# --- subjects in a file ---


def test_the_rdm_of_a_subject_is_the_mean_of_its_layers(tmp_path):
    path = write(tmp_path / "brain.h5", "brain", layers=["s1_a", "s1_b"])
    both = read_rdms(path).dissimilarities
    found = stack_subjects(path, ["s1_a", "s1_b"])
    assert found.models == ("s1_a", "s1_b")
    np.testing.assert_array_equal(found.rdms, both)
    found = stack_subjects(path, ["s1_*"])
    np.testing.assert_allclose(found.rdms, both.mean(axis=0, keepdims=True))
    assert found.n_images == len(IMAGES)


def test_subjects_are_compared_over_the_images_that_all_have(tmp_path):
    path = write(tmp_path / "brain.h5", "brain", dead=[2], layers=["s1", "s2"])
    found = stack_subjects(path, ["s1", "s2"])
    assert found.images.tolist() == [0, 1, 3, 4, 5, 6, 7]
    assert np.isfinite(found.rdms).all()


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (["s1", "s3*"], "no layer is named s3*; there are s1, s2: name those of every subject"),
        (["s*", "s2"], "s2 is named by s* and by another pattern; a layer is of one subject"),
    ],
)
def test_subjects_that_are_not_there_or_there_twice_are_one_line(tmp_path, patterns, expected):
    path = write(tmp_path / "brain.h5", "brain", layers=["s1", "s2"])
    with pytest.raises(RepresentationError) as error:
        stack_subjects(path, patterns)
    assert expected in str(error.value)


# --- the brain, if it is there ---


@pytest.fixture
def brain() -> dict[str, np.ndarray]:
    """The RDMs of the 92 objects by name."""
    path = Path(os.environ.get("TASKRSA_DATA", ""), "objects92/rdms.npz")
    if "TASKRSA_DATA" not in os.environ or not path.is_file():
        pytest.skip("TASKRSA_DATA does not name a folder with objects92/rdms.npz")
    given = read_given(path)
    stimuli = [f"{number:02d}" for number in range(1, 93)]
    return dict(zip(given.names, given.of(stimuli, "brain"), strict=True))


def test_human_and_monkey_it_agree_as_published(brain):
    """Kriegeskorte et al. (2008): Pearson's r = 0.49 over the pairs of the 92 images."""
    monkey, human = brain["monkey_it"], brain["human_it"]
    assert np.corrcoef(monkey, human)[0, 1] == pytest.approx(0.491, abs=5e-4)
    spearman = similarity_matrix(np.stack([monkey, human]))[0, 1]
    assert spearman == pytest.approx(0.439, abs=5e-4)
    assert spearman == pytest.approx(spearmanr(monkey, human).statistic, abs=1e-12)


def test_the_ceiling_of_the_human_subjects_is_rsatoolbox_s(brain):
    rsatoolbox = pytest.importorskip("rsatoolbox")
    from rsatoolbox.inference import boot_noise_ceiling

    sessions = np.stack([rdm for name, rdm in brain.items() if "subject" in name])
    subjects = sessions.reshape(4, 2, -1).mean(axis=1)
    for compare, method in (("spearman", "spearman"), ("rho_a", "rho-a")):
        expected = boot_noise_ceiling(rsatoolbox.rdm.RDMs(subjects), method=method)
        np.testing.assert_allclose(noise_ceiling(subjects, compare), np.ravel(expected))


def test_the_page_on_the_brain_is_of_this_run(brain):
    """The reference tables have the similarity of monkey and human, and the subjects' ceiling."""
    human = pd.read_csv(REFERENCE / "human.csv").set_index(["model", "layer"])
    monkey = pd.read_csv(REFERENCE / "monkey.csv").set_index(["model", "layer"])
    assert monkey.loc[("human_it", "last"), "rs"] == pytest.approx(0.439, abs=5e-4)
    sessions = np.stack([rdm for name, rdm in brain.items() if "subject" in name])
    subjects = sessions.reshape(4, 2, -1).mean(axis=1)
    low, high = noise_ceiling(subjects)
    assert human["ceiling_low"].iloc[0] == pytest.approx(low, abs=1e-5)
    assert human["ceiling_high"].iloc[0] == pytest.approx(high, abs=1e-5)
    found = similarity_between(subjects, brain["monkey_it"][None]).mean()
    assert human.loc[("monkey_it", "last"), "rs"] == pytest.approx(found, abs=1e-5)


def test_the_page_s_hypothesis_has_ties_that_spearman_rewards(brain, tmp_path, monkeypatch):
    """The commands of the page make the row, of which its table is."""
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "config/BRAIN.md").read_text()
    script = re.search(r"<<'END'\n(.*?)^END$", page, re.MULTILINE | re.DOTALL)[1]
    exec(compile(script, "config/BRAIN.md", "exec"), {})
    row = read_bank("categories.tsv")["categories"]
    (rdm,) = read_given(row.weights).rdms
    rows = pd.read_csv(REFERENCE / "categories.csv").set_index(["model", "layer"])
    shown = rows.loc[("categories", "last")]
    for compare in ("spearman", "rho_a"):
        found = similarity_between(brain["monkey_it"][None], rdm[None], compare=compare)[0, 0]
        assert shown[compare] == pytest.approx(found, abs=1e-5)
    last = rows.loc[("efficientnet_lite0", "last")]
    assert shown["spearman"] > last["spearman"]
    assert shown["rho_a"] < last["rho_a"]
    networks = rows.drop(("categories", "last"))
    np.testing.assert_allclose(networks["spearman"], networks["rho_a"], atol=1e-5)


def test_what_the_page_says_of_its_tables():
    human, monkey = (pd.read_csv(REFERENCE / f"{name}.csv") for name in ("human", "monkey"))
    for table in (human, monkey):
        networks = table[table["type"] != "brain"]
        first = networks.iloc[0]
        assert (first["model"], first["layer"]) == ("efficientnet_lite0", "depth4")
        text = networks[networks["model"] == "text_detection"]
        assert (text["layer"].iloc[0], text["layer"].iloc[-1]) == ("depth1", "last")
        assert (table.loc[table["model"] == "untrained_lite0", "ci_low"] > 0).all()
    assert human["model"][0] == "monkey_it"
    assert (human["ci_high"] < human["ceiling_low"]).all()
    assert monkey.set_index("model").loc["human_it", "tied"] == "yes"


def test_the_configuration_of_the_page_is_that_of_the_run():
    page = (ROOT / "config/BRAIN.md").read_text()
    (shown,) = re.findall(r"^```yaml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    run = yaml.safe_load((ROOT / "config/brain.yaml").read_text())
    assert yaml.safe_load(shown)["targets"] == run["targets"]
    rows = read_bank(ROOT / "config/networks/brain.tsv")
    shown = re.findall(r"^\| `(\w+_it)` \| `rdms` \| .* \| `(.*?)` \|$", page, re.MULTILINE)
    assert [name for name, _ in shown] == ["monkey_it", "human_it"]
    for name, cells in shown:
        pairs = rows[name].layers
        layers = " ".join(f"{one}={pattern}" if one else pattern for one, pattern in pairs)
        assert cells == layers


# --- the entry, as the rule calls it ---


def test_the_entry_reads_files_and_leaves_out_networks_without_a_layer(tmp_path, capfd):
    sys.path.insert(0, str(ROOT / "scripts"))
    from target_layers import main

    bank = [
        str(write(tmp_path / "a.h5", "a", 1, layers=["depth1", "last"])),
        str(write(tmp_path / "b.h5", "b", 2, layers=["depth2", "last"])),
    ]
    target = str(write(tmp_path / "it.h5", "it", 3, layers=["last", "s1"]))
    table = tmp_path / "layers.csv"
    options = {"networks": {"a": ["A", ""], "b": ["B", ""]}, "bank": bank, "target": target}
    options |= {"layers": ["depth1", "depth2", "depth3", "last"], "target_layer": "last"}
    options |= {"compare": "spearman", "resamples": 20, "seed": 0, "table": str(table)}
    main(**options)
    found = pd.read_csv(table)
    assert {*zip(found["model"], found["layer"], strict=True)} == {
        ("a", "depth1"), ("a", "last"), ("b", "depth2"), ("b", "last")
    }  # fmt: skip
    assert "layer depth1: left out b" in capfd.readouterr().out
    main(**options, subjects=["last", "s1"])
    assert pd.read_csv(table)["n_subjects"].eq(2).all()
