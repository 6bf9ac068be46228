"""What tables must hold to be drawn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from taskrsa.errors import DataError


def need_columns(
    frame: pd.DataFrame, columns: Sequence[str], table: str, *, may_be_empty: Sequence[str] = ()
) -> None:
    """Raise DataError when the table lacks a column, has no rows, or lacks a value in a column.

    may_be_empty: further columns that must be there, but need not hold a value in every row.
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
        empty = frame[column].isna().to_numpy()
        if empty.any():
            row = int(np.flatnonzero(empty)[0])
            here = ", ".join(f"{c} {frame[c].iloc[row]}" for c in columns if c != column)
            raise DataError(
                f"{table} table has no value of {column} at {here}; make the table again or "
                f"leave that row out"
            )


def need_once(rows: pd.DataFrame, table: str, *columns: str) -> None:
    """Raise DataError where two rows are of the same network, pair or the like."""
    twice = rows[rows.duplicated(list(columns))]
    for row in twice.itertuples():
        named = ", ".join(f"{column} {getattr(row, column)}" for column in columns)
        raise DataError(f"{table} table has two rows of {named}; leave one out")
