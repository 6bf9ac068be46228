"""Tidy tables as matrices and trees, and back."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike

import numpy as np
import pandas as pd

from taskrsa.errors import DataError
from taskrsa.io.files import read_table

CORRELATIONS = ("pearson", "spearman")  # columns of tables that compare rankings or matrices


def _require_columns(table: pd.DataFrame, columns: Sequence[str], name: str) -> None:
    for column in columns:
        if column not in table:
            raise DataError(f"{name} has no column {column}; make the table again")


Rows = Sequence[dict] | pd.DataFrame


def with_groups(rows: Rows, n_groups: int | None) -> Rows:
    """Return a table with the column n_groups: of how many groups of images its resamples were
    drawn, in the rows that have an interval, all where the table has none; as it is for None."""
    if n_groups is None:
        return rows
    table = pd.DataFrame(rows)
    ends = [column for column in table if column.endswith("_low")]
    drawn = table[ends].notna().any(axis=1) if ends else pd.Series(True, table.index)
    column = pd.Series(n_groups, table.index, dtype="Int64").where(drawn)
    return table.assign(n_groups=column)


# --- matrices ---


def similarity_square(
    table: pd.DataFrame, layer: str | None = None, name: str = "similarity table"
) -> pd.DataFrame:
    """Return one layer of a similarity table as a symmetric matrix with ones on its diagonal.

    Of the columns model_a, model_b, rs and, with a layer, layer: a row for each pair, in any order
    of the two, once or in both orders. Models keep the order of the table, whose `name` is for
    messages. DataError if a column or the layer is missing, or a pair has no value or two different
    ones.
    """
    where = name
    _require_columns(table, ["model_a", "model_b", "rs", *(["layer"] if layer else [])], name)
    if layer is not None:
        where = f"{name}: layer {layer}"
        if not (table["layer"] == layer).any():
            layers = ", ".join(dict.fromkeys(table["layer"]))
            raise DataError(f"{name} has no layer {layer}; it has {layers}; compute that layer")
        table = table[table["layer"] == layer]
    models = list(dict.fromkeys([*table["model_a"], *table["model_b"]]))
    index = {model: i for i, model in enumerate(models)}
    matrix = np.full((len(models), len(models)), np.nan)
    for a, b, rs in zip(table["model_a"], table["model_b"], table["rs"], strict=True):
        known = matrix[index[a], index[b]]
        if a != b and abs(known - rs) > 1e-6:
            raise DataError(
                f"{where} has two values for {a} and {b} ({known:.4f}, {rs:.4f}); leave one out"
            )
        matrix[index[a], index[b]] = matrix[index[b], index[a]] = rs
    np.fill_diagonal(matrix, 1.0)
    for i, j in np.argwhere(np.isnan(matrix))[:1]:
        raise DataError(
            f"{where} has no value for {models[i]} and {models[j]}; add the pair or leave one of "
            f"the two models out"
        )
    return pd.DataFrame(matrix, models, models)


def label_pairs(similarity: pd.DataFrame) -> pd.DataFrame:
    """Return for every layer and pair the similarity of the networks and of their labels."""
    keys = ["model_a", "model_b"]
    labels = similarity[similarity["layer"] == "labels"][[*keys, "rs"]]
    networks = similarity[similarity["layer"] != "labels"][["layer", *keys, "rs"]]
    return networks.merge(labels, on=keys, suffixes=("_network", "_labels"))


def long_table(matrix: pd.DataFrame, row: str, column: str, value: str) -> pd.DataFrame:
    """Return a matrix as one row an entry, with the given names of columns."""
    values = matrix.rename_axis(index=row, columns=column).stack()
    return values.rename(value).reset_index()


def read_affinity(path: str | PathLike) -> pd.DataFrame:
    """Read a table of affinities as a matrix: rows sources, columns targets, in the table's order.

    DataError if a pair of source and target is missing or given twice.
    """
    table = read_table(path)
    pairs = table[["source", "target"]]
    if pairs.duplicated().any():
        source, target = pairs[pairs.duplicated()].iloc[0]
        raise DataError(f"{path}: {source} to {target} is given twice; make the table again")
    matrix = table.pivot(index="source", columns="target", values="affinity")
    matrix = matrix.loc[table["source"].unique(), table["target"].unique()]
    if matrix.isna().to_numpy().any():
        source, target = matrix.isna().stack().idxmax()
        raise DataError(f"{path}: no affinity of {source} to {target}; make the table again")
    return matrix


# --- trees ---


def linkage_table(tree: np.ndarray, names: Sequence[str]) -> pd.DataFrame:
    """Return a SciPy linkage as a table; the first len(names) rows name the leaves."""
    leaves = pd.DataFrame({"leaf": list(names)})
    merges = pd.DataFrame(tree, columns=["left", "right", "distance", "n_models"])
    return pd.concat([leaves, merges], ignore_index=True)


def linkage_of(table: pd.DataFrame, name: str = "tree table") -> tuple[np.ndarray, list[str]]:
    """Return the (m - 1, 4) SciPy linkage of a table as of `linkage_table`, and its leaves.

    DataError if a column is missing, or the rows do not join the leaves, each named once.
    """
    columns = ["left", "right", "distance", "n_models"]
    _require_columns(table, ["leaf", *columns], name)
    is_leaf = table["leaf"].notna()
    leaves = list(table.loc[is_leaf, "leaf"])
    linkage = table.loc[~is_leaf, columns].to_numpy(float)
    known = np.isfinite(linkage).all() and len(set(leaves)) == len(leaves) > 1
    if not known or len(linkage) != len(leaves) - 1:
        raise DataError(
            f"{name}: {len(linkage)} merges and {len(leaves)} leaves do not make a tree; make the "
            f"table again"
        )
    return linkage, leaves
