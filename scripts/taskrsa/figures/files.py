"""Tables that figures are drawn from, read and checked; a figure and its numbers, written."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from taskrsa.errors import DataError
from taskrsa.figures.style import styled
from taskrsa.io.files import atomic_path

_DOTS = 300  # an inch, in pictures


def need_columns(
    frame: pd.DataFrame,
    columns: Sequence[str],
    table: str,
    *,
    may_be_empty: Sequence[str] = (),
    once: Sequence[str] = (),
) -> None:
    """Raise DataError when the table lacks a column, has no rows, or lacks a value in a column.

    may_be_empty: further columns that must be there, but need not hold a value in every row.
    once: columns in which no two rows may agree.
    """
    missing = [column for column in [*columns, *may_be_empty] if column not in frame.columns]
    if missing:
        raise DataError(
            f"{table} table has no column {', '.join(missing)}; it has "
            f"{', '.join(map(str, frame.columns))}; make the table again"
        )
    if not len(frame):
        raise DataError(f"{table} table has no rows; make the table again")
    for column in columns:
        for row in np.flatnonzero(frame[column].isna())[:1]:
            here = ", ".join(f"{c} {frame[c].iloc[row]}" for c in columns if c != column)
            raise DataError(
                f"{table} table has no value of {column} at {here}; make the table again or "
                f"leave that row out"
            )
    for _, row in frame[frame.duplicated([*once])].iterrows() if once else ():
        named = ", ".join(f"{column} {row[column]}" for column in once)
        raise DataError(f"{table} table has two rows of {named}; leave one out")


@styled
def save_figure(figure: Figure, pdf_path: str | os.PathLike, png_path: str | os.PathLike) -> None:
    """Write a figure as PDF (vectors, text as text) and as PNG.

    The files hold neither time nor host: drawn again from the same tables they are the same bytes,
    so a file that differs is a result that differs.
    """
    with atomic_path(pdf_path) as path:
        figure.savefig(path, format="pdf", dpi=_DOTS, metadata={"CreationDate": None})
    with atomic_path(png_path) as path:
        figure.savefig(path, format="png", dpi=_DOTS, metadata={"Software": None})


def save_data(frame: pd.DataFrame, csv_path: str | os.PathLike) -> None:
    """Write the numbers drawn in a figure as CSV, six digits each, without the index.

    Raises DataError for an empty table, which would stand for a figure that shows nothing.
    """
    if frame.empty:
        raise DataError(f"{csv_path}: no numbers to write; draw the figure from a table with rows")
    with atomic_path(csv_path) as path:
        frame.to_csv(path, index=False, float_format="%.6g", lineterminator="\n")
