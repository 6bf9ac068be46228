"""Tables as matrices and trees, and back."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from taskrsa.analysis import tables
from taskrsa.errors import DataError
from taskrsa.io.files import write_table
from taskrsa.rsa.clustering import average_linkage


def test_linkage_table_comes_back(tmp_path):
    matrix = np.array([[1, 0.9, 0.1], [0.9, 1, 0.2], [0.1, 0.2, 1]])
    tree = average_linkage(matrix)
    write_table(tables.linkage_table(tree, ["x", "y", "z"]), tmp_path / "tree.csv")
    again, names = tables.linkage_of(pd.read_csv(tmp_path / "tree.csv"))
    assert names == ["x", "y", "z"]
    np.testing.assert_allclose(again, tree, rtol=1e-5)


PAIRS = pd.DataFrame(
    [("block1", "a", "b", 0.5), ("block1", "a", "c", 0.1), ("block1", "c", "b", -0.2)],
    columns=["layer", "model_a", "model_b", "rs"],
)


def test_pairs_become_a_symmetric_matrix():
    square = tables.similarity_square(PAIRS, "block1")
    assert list(square.index) == list(square.columns) == ["a", "c", "b"]
    expected = [[1, 0.1, 0.5], [0.1, 1, -0.2], [0.5, -0.2, 1]]
    np.testing.assert_array_equal(square, expected)
    turned = PAIRS.rename(columns={"model_a": "model_b", "model_b": "model_a"})
    diagonal = pd.DataFrame([("block1", "a", "a", 0.9)], columns=PAIRS.columns)
    both = tables.similarity_square(pd.concat([PAIRS, turned, diagonal]), "block1")
    np.testing.assert_array_equal(both.loc[square.index, square.index], expected)
    np.testing.assert_array_equal(tables.similarity_square(PAIRS.drop(columns="layer")), expected)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (PAIRS.assign(layer="last"), "has no layer block1; it has last"),
        (PAIRS[:2], "layer block1 has no value for b and c; add the pair or leave one"),
        (pd.concat([PAIRS, PAIRS.assign(rs=0.5)]), r"has two values for a and c \(0.1000, 0.5000"),
    ],
)
def test_similarities_that_make_no_matrix(table, message):
    with pytest.raises(DataError, match=message):
        tables.similarity_square(table, "block1")


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
