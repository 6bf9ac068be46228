"""Rows of what benchmarks measure, and the CSV files that pages quote."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

Row = dict[str, object]


def cell(value: object) -> object:
    """Return a value as tables hold it: numbers with four digits."""
    return f"{value:.4g}" if isinstance(value, float) else value


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Write rows as CSV; columns are in the order in which they first occur, and empty where a row
    has no such value."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows({key: cell(value) for key, value in row.items()} for row in rows)


def show(row: Row) -> None:
    """Print a row with the names of its columns."""
    print("  ".join(f"{key} {cell(value)}" for key, value in row.items()), flush=True)
