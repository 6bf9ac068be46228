"""Tables for readers: how numbers are written, what columns sort by, which are left out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from taskrsa.report import view
from taskrsa.report.view import Cell, Column, Mark, Shown, table_of

STYLES = {"a": Shown("Net A", Mark("type-0"))}


def cell(column: Column, **row) -> Cell:
    return column.cell(row, STYLES)


@pytest.mark.parametrize(
    ("column", "row", "expected"),
    [
        (Column("rs", "similarity"), {"rs": 0.4652}, Cell("0.47", "0.4652")),
        (
            Column("rs", "similarity"),
            {"rs": 0.4652, "rs_low": 0.436, "rs_high": 0.496},
            Cell("0.47 [0.44, 0.50]", "0.4652"),
        ),
        (
            Column("rs", "similarity", ends="ci"),
            {"rs": 0.4652, "ci_low": 0.436, "ci_high": 0.496},
            Cell("0.47 [0.44, 0.50]", "0.4652"),
        ),
        (
            Column("value", "here", digits=3, ends=""),
            {"value": 7, "low": 5, "high": 12, "digits": 0},
            Cell("7 [5, 12]", "7"),
        ),
        (Column("n", "n", digits=0), {"n": 17.0}, Cell("17", "17")),
        (Column("n", "n"), {"n": np.nan}, Cell("")),
        (Column("n", "n"), {}, Cell("")),
        (Column("p", "p", "p"), {"p": 0.0001}, Cell("< 0.001", "0.0001")),
        (Column("x", "x", "percent"), {"x": 0.25}, Cell("25 %", "0.25")),
        (Column("x", "x", "size"), {"x": 2_500_000}, Cell("2.5 MB", "2.5e+06")),
        (Column("x", "x", "amount"), {"x": 1234.5}, Cell("1,234", "1234.5")),
        (Column("x", "x", "range", 0), {"x": 2, "x_low": 2, "x_high": 5}, Cell("2 to 5", "2")),
        (Column("x", "x", "range", 0), {"x": 2, "x_low": 2, "x_high": 2}, Cell("2", "2")),
        (Column("t", "t"), {"t": "Text"}, Cell("Text", "text", "text")),
        (Column("t", "t", words={"x": "Word"}), {"t": "x"}, Cell("Word", "word", "text")),
        (Column("t", "t", "code"), {"t": "ab"}, Cell("ab", "ab", "code")),
        (Column("v", "v", "verdict"), {"v": "holds"}, Cell("holds", "holds", "verdict holds")),
        (Column("m", "m", "network"), {"m": "a"}, Cell("Net A", "net a", "network type-0")),
        (
            Column("m", "m", "network"),
            {"m": "small", "label": "small model"},
            Cell("small model", "small model", "network type-none"),
        ),
    ],
)  # fmt: skip
def test_cells(column, row, expected):
    assert cell(column, **row) == expected


def test_blank_columns_are_left_out_and_numbers_known():
    frame = pd.DataFrame({"a": [0.5, np.nan], "b": [np.nan, np.nan], "t": ["B", "a"]})
    table = table_of(frame, {}, "x", [Column(name, name.upper()) for name in "abt"])
    assert table.heads == ["A", "T"]
    assert [[cell.key for cell in row] for row in table.rows] == [["0.5", "b"], ["", "a"]]
    assert [table.is_number(at) for at in (0, 1)] == [True, False]
    assert table_of(frame.head(0), {}, "x", [Column("a", "A")]) is None


def test_sizes_and_amounts():
    assert [view.size(n) for n in (900, 54_000, 2_500_000, 1.5e9)] == [
        *("0.9 kB", "54 kB", "2.5 MB", "1.5 GB")
    ]
    assert [view.amount(x) for x in (0.123, 12.34, 1234.5)] == ["0.12", "12.3", "1,234"]


def test_decimals_of_claims():
    assert [view.claim_digits(x) for x in (10.0, 0.62, 0.016, 2.47, None)] == [0, 2, 3, 2, 2]
    assert view.claim_published({"published": None}) == "no number"
    row = {"ours": 0.016, "ci_low": 0.01, "ci_high": 0.02}
    assert view.claim_ours(row) == "0.016 [0.010, 0.020]"
