"""Tables of similarities, on RDMs small enough to check by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from made_rdms import stack_of
from scipy.stats import spearmanr
from taskrsa.analysis import taxonomy
from taskrsa.analysis.tables import label_pairs, similarity_square
from taskrsa.rsa.similarity import similarity_matrix


def test_similarity_table_has_one_row_a_pair_and_scipy_s_values():
    stack = stack_of("abcd")
    table = taxonomy.similarity_table(stack, "compressed", 50, 99, seed=0)
    pairs = list(zip(table["model_a"], table["model_b"], strict=True))
    assert pairs == [("a", "b"), ("a", "c"), ("a", "d"), ("b", "c"), ("b", "d"), ("c", "d")]
    expected = spearmanr(stack.rdms[0], stack.rdms[2]).statistic
    assert table["rs"][1] == pytest.approx(expected, abs=1e-9)
    assert (table["n_images"] == 12).all()
    square = similarity_square(table)
    assert square.loc["c", "a"] == square.loc["a", "c"] == table["rs"][1]
    assert (np.diag(square) == 1).all()


def test_similarity_table_by_rho_a():
    stack = stack_of("abc")
    coarse = replace(stack, rdms=np.round(stack.rdms * 4))  # many are equal
    table, other = (
        taxonomy.similarity_table(coarse, "x", 20, 9, seed=0, compare=compare)
        for compare in ("rho_a", "spearman")
    )
    np.testing.assert_allclose(
        table["rs"], similarity_matrix(coarse.rdms, compare="rho_a")[[0, 0, 1], [1, 2, 2]]
    )
    assert (table["rs"].abs() < other["rs"].abs()).all()
    assert ((table["ci_high"] - table["ci_low"]) < (other["ci_high"] - other["ci_low"])).all()
    assert table["p"].tolist() == other["p"].tolist()


def test_related_networks_are_significant_and_unrelated_ones_are_not():
    rng = np.random.default_rng(1)
    shared = rng.normal(size=(12, 30))
    features = {
        "a": shared,
        "b": shared + 0.1 * rng.normal(size=(12, 30)),
        "c": rng.normal(size=(12, 30)),
    }
    table = taxonomy.similarity_table(stack_of("abc", features=features), "x", 50, 199, seed=0)
    p = table.set_index(["model_a", "model_b"])["p"]
    assert p["a", "b"] == pytest.approx(1 / 200)
    assert p["a", "c"] > 0.02


def test_label_agreement_is_perfect_where_networks_copy_their_labels():
    stack = stack_of("abcde")
    networks = taxonomy.similarity_table(stack, "compressed", 10, 9, 0)
    table = pd.concat([networks, networks.assign(layer="labels")])
    (row,) = taxonomy.label_agreement_rows(table, 199, 0)
    assert row["layer"] == "compressed"
    assert row["spearman"] == pytest.approx(1)
    assert row["pearson"] == pytest.approx(1)
    assert row["p"] < 0.05
    pairs = label_pairs(table)
    assert (pairs["rs_network"] == pairs["rs_labels"]).all()
    assert len(pairs) == 10


def test_preset_rows_measure_the_change_of_the_entries():
    own, other = stack_of("abc", seed=1), stack_of("abc", seed=2)
    choices = {"centre": True, "clip": True, "group_norm": False}
    variants = {"centring": {**choices, "centre": False}}
    (row,) = taxonomy.preset_rows(own, {"centring": other}, "last", choices, variants)
    before = [spearmanr(own.rdms[i], own.rdms[j]).statistic for i, j in ((1, 0), (2, 0), (2, 1))]
    after = [spearmanr(other.rdms[i], other.rdms[j]).statistic for i, j in ((1, 0), (2, 0), (2, 1))]
    change = np.abs(np.subtract(after, before))
    assert row["mean_abs_change"] == pytest.approx(change.mean(), abs=1e-6)
    assert row["max_abs_change"] == pytest.approx(change.max(), abs=1e-6)
    assert row["change"] == "centre: True -> False"
    (same,) = taxonomy.preset_rows(own, {"centring": own}, "last", choices, variants)
    assert same["max_abs_change"] == 0
    assert row["layer"] == "last"


def test_presets_of_the_networks_that_have_the_choice():
    own, other = stack_of("abcd", seed=1), stack_of("dca", seed=2)
    choices = {"centre": True}
    some = taxonomy.preset_rows(own, {"x": other}, "last", choices, {"x": {"centre": False}})
    of_them = own.only("dca")
    assert some == taxonomy.preset_rows(
        of_them, {"x": other}, "last", choices, {"x": {"centre": False}}
    )
