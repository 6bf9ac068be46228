"""Tables of similarities, trees and tests, on RDMs small enough to check by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr
from taskrsa.analysis import tables
from taskrsa.errors import DataError, RepresentationError
from taskrsa.io.files import write_table
from taskrsa.rsa.clustering import average_linkage
from taskrsa.rsa.presets import PRESETS, variants_of
from taskrsa.rsa.rdm import compute_rdm
from taskrsa.rsa.rdm_file import stack_rdms, write_rdms

IMAGES = [f"image{number}" for number in range(12)]


@pytest.fixture
def make_stack(tmp_path):
    """Return a function that writes RDMs of random features and stacks them."""

    def make(models, seed=0, layer="compressed", digest="stimuli", features=None, **options):
        rng = np.random.default_rng(seed)
        paths = []
        for model in models:
            values = rng.normal(size=(12, 30)) if features is None else features[model]
            result = compute_rdm(values, conditions=IMAGES, **options)
            paths.append(tmp_path / f"{layer}_{model}_{seed}_{digest}.h5")
            write_rdms(
                paths[-1],
                [result.dissimilarities],
                [layer],
                model=model,
                task=model,
                conditions=IMAGES,
                stimuli_digest=digest,
                centre=True,
                dropped=[result.dropped],
            )
        return stack_rdms(paths, layer)

    return make


def test_similarity_table_has_one_row_a_pair_and_scipy_s_values(make_stack):
    stack = make_stack("abcd")
    table = tables.similarity_table(stack, "compressed", 50, 99, seed=0)
    pairs = list(zip(table["model_a"], table["model_b"], strict=True))
    assert pairs == [("a", "b"), ("a", "c"), ("a", "d"), ("b", "c"), ("b", "d"), ("c", "d")]
    expected = spearmanr(stack.rdms[0], stack.rdms[2]).statistic
    assert table["rs"][1] == pytest.approx(expected, abs=1e-9)
    assert (table["n_images"] == 12).all()
    square = tables.similarity_square(table)
    assert square.loc["c", "a"] == square.loc["a", "c"] == table["rs"][1]
    assert (np.diag(square) == 1).all()


def test_related_networks_are_significant_and_unrelated_ones_are_not(make_stack):
    rng = np.random.default_rng(1)
    shared = rng.normal(size=(12, 30))
    features = {
        "a": shared,
        "b": shared + 0.1 * rng.normal(size=(12, 30)),
        "c": rng.normal(size=(12, 30)),
    }
    table = tables.similarity_table(make_stack("abc", features=features), "x", 50, 199, seed=0)
    p = table.set_index(["model_a", "model_b"])["p"]
    assert p["a", "b"] == pytest.approx(1 / 200)
    assert p["a", "c"] > 0.02


def test_linkage_table_comes_back(tmp_path):
    matrix = np.array([[1, 0.9, 0.1], [0.9, 1, 0.2], [0.1, 0.2, 1]])
    tree = average_linkage(matrix)
    write_table(tables.linkage_table(tree, ["x", "y", "z"]), tmp_path / "tree.csv")
    again, names = tables.read_linkage(tmp_path / "tree.csv")
    assert names == ["x", "y", "z"]
    np.testing.assert_allclose(again, tree, rtol=1e-5)


def test_separation_finds_planted_types_and_partials_the_pixels_out(make_stack):
    rng = np.random.default_rng(2)
    pixels, two, three = (rng.normal(size=(12, 200)) for _ in range(3))
    kinds = {"a": two, "b": two, "c": two, "d": three, "e": three, "f": three}
    features = {
        model: np.hstack([2 * pixels, kind + 0.2 * rng.normal(size=(12, 200))])
        for model, kind in kinds.items()
    }
    trained = make_stack("abcdef", features=features)
    control = make_stack("p", layer="pixels", features={"p": pixels})
    random = make_stack("rs", seed=5)
    types = {model: "2D" if model in "abc" else "3D" for model in kinds}
    rows = tables.separation_rows(
        "compressed", trained, types, 2, 999, 0, pixels=control, random=random
    )
    by_control = {row["control"]: row for row in rows}
    assert list(by_control) == ["none", "pixels", "random", "pixels+random"]
    plain, partial = by_control["none"], by_control["pixels"]
    # Of 20 ways to split six tasks in halves, two are the planted one.
    assert plain["p"] == pytest.approx(0.1, abs=0.03)
    assert plain["ari_average"] == partial["ari_average"] == 1
    assert plain["between"] > 0.5  # what the pixels make alike
    assert abs(partial["between"]) < 0.25
    assert partial["difference"] > plain["difference"]
    expected = spearmanr(random.rdms[0], random.rdms[1]).statistic
    assert plain["random_mean"] == pytest.approx(expected, abs=1e-6)


def test_images_dropped_in_one_stack_are_dropped_in_all(make_stack):
    values = np.random.default_rng(0).normal(size=(12, 30))
    values[3] = 0
    constant = make_stack("k", layer="pixels", features={"k": values}, constant="drop")
    whole = make_stack("ab")
    first, second = tables.common_images([whole, constant])
    assert first.shape == (2, 55)
    assert second.shape == (1, 55)
    keep = [number for number in range(12) if number != 3]
    expected = compute_rdm(values[keep], conditions=[IMAGES[k] for k in keep]).dissimilarities
    np.testing.assert_allclose(second[0], expected, atol=1e-6)


def test_stacks_of_different_stimuli_are_refused(make_stack):
    with pytest.raises(RepresentationError, match="were shown different stimuli"):
        tables.common_images([make_stack("ab"), make_stack("cd", digest="others")])


def test_label_agreement_is_perfect_where_networks_copy_their_labels(make_stack):
    stack = make_stack("abcde")
    networks = tables.similarity_table(stack, "compressed", 10, 9, 0)
    table = pd.concat([networks, networks.assign(layer="labels")])
    (row,) = tables.label_agreement_rows(table, 199, 0)
    assert row["layer"] == "compressed"
    assert row["spearman"] == pytest.approx(1)
    assert row["pearson"] == pytest.approx(1)
    assert row["p"] < 0.05
    pairs = tables.label_pairs(table)
    assert (pairs["rs_network"] == pairs["rs_labels"]).all()
    assert len(pairs) == 10


def test_preset_rows_measure_the_change_of_the_entries(make_stack):
    own, other = make_stack("abc", seed=1), make_stack("abc", seed=2)
    choices = {"centre": True, "clip": True, "group_norm": False}
    variants = {"centring": {**choices, "centre": False}}
    (row,) = tables.preset_rows(own, {"centring": other}, choices, variants)
    before = [spearmanr(own.rdms[i], own.rdms[j]).statistic for i, j in ((1, 0), (2, 0), (2, 1))]
    after = [spearmanr(other.rdms[i], other.rdms[j]).statistic for i, j in ((1, 0), (2, 0), (2, 1))]
    change = np.abs(np.subtract(after, before))
    assert row["mean_abs_change"] == pytest.approx(change.mean(), abs=1e-6)
    assert row["max_abs_change"] == pytest.approx(change.max(), abs=1e-6)
    assert row["change"] == "centre: True -> False"
    (same,) = tables.preset_rows(own, {"centring": own}, choices, variants)
    assert same["max_abs_change"] == 0


def test_variants_differ_from_the_run_s_own_choices():
    for preset in PRESETS.values():
        own = {key: preset[key] for key in ("centre", "clip", "group_norm")}
        variants = variants_of(preset)
        assert all(variant != own for variant in variants.values())
        assert {k for k in own if variants["centring"][k] != own[k]} == {"centre"}
        assert {k for k in own if variants["group norm"][k] != own[k]} == {"group_norm"}
    # Together, centring and clipping are what the two presets differ in.
    other = variants_of(PRESETS["paper"])["centring and clipping"]
    assert other == {k: PRESETS["recommended"][k] for k in other}


def test_a_layer_that_is_not_there_is_named():
    table = pd.DataFrame({"layer": ["block1"], "model_a": ["a"], "model_b": ["b"], "rs": [0.5]})
    with pytest.raises(DataError, match="no rows for layer compressed"):
        tables.similarity_square(table, "compressed")


def affinity_file(path, rows):
    pd.DataFrame(rows, columns=["source", "target", "affinity", "penalty"]).to_csv(
        path, index=False
    )
    return path


def test_affinities_come_back_as_a_matrix_in_the_table_s_order(tmp_path):
    rows = [("b", "a", 0.1, 1), ("b", "c", 0.2, 1), ("a", "a", 0.3, 1), ("a", "c", -0.4, 1)]
    matrix = tables.read_affinity(affinity_file(tmp_path / "affinity.csv", rows))
    assert list(matrix.index) == ["b", "a"]
    assert list(matrix.columns) == ["a", "c"]
    assert matrix.loc["a", "c"] == -0.4
    with pytest.raises(DataError, match=r"double.csv: a to c is given twice"):
        tables.read_affinity(affinity_file(tmp_path / "double.csv", [*rows, rows[-1]]))
    with pytest.raises(DataError, match=r"hole.csv: no affinity of a to c"):
        tables.read_affinity(affinity_file(tmp_path / "hole.csv", rows[:-1]))


def test_agreement_leaves_out_logarithms_of_affinities_that_have_none(make_stack):
    stack = make_stack("abcdef")
    rng = np.random.default_rng(0)
    affinity = pd.DataFrame(rng.random((6, 6)) + 0.1, list("abcdef"), list("abcdef"))
    found = tables.agreement_rows(stack, affinity, 10, 9, 0)
    assert [row["normalisation"] for row in found] == list(tables.NORMALISATIONS)
    affinity.loc["a", "b"] = -0.01
    found = tables.agreement_rows(stack, affinity, 10, 9, 0)
    assert "log" not in {row["normalisation"] for row in found}
    assert len(found) == len(tables.NORMALISATIONS) - 1


def test_some_models_of_a_stack(make_stack):
    stack = make_stack("abcd")
    some = stack.only(["d", "b"])
    assert some.models == some.tasks == ("d", "b")
    np.testing.assert_array_equal(some.rdms, stack.rdms[[3, 1]])
    with pytest.raises(RepresentationError, match="no RDM of z among a, b, c, d"):
        stack.only(["a", "z"])
