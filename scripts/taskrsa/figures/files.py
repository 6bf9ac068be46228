"""Read the tables that figures are drawn from; write a figure and the numbers drawn in it."""

from __future__ import annotations

import os

import pandas as pd
from matplotlib.figure import Figure

from taskrsa.errors import DataError
from taskrsa.figures.style import styled
from taskrsa.io.files import atomic_path

# Columns of names: "007" and "none" may be those of networks.
_NAMES = ("name", "label", "type", "leaf", "model", "model_a", "model_b", "other")
_NAMES += ("source", "target", "task")


def read_table(path: str | os.PathLike) -> pd.DataFrame:
    """Read a table as the workflow writes them: blank is not known, names are text."""
    dtype = dict.fromkeys(_NAMES, str)
    return pd.read_csv(path, dtype=dtype, keep_default_na=False, na_values=[""])


_DOTS = 300  # an inch, in pictures
_DIGITS = 6  # significant ones, in tables


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
    """Write the numbers drawn in a figure as CSV.

    The index is not written: what a reader needs is in columns. Raises DataError for an empty
    table, which would stand for a figure that shows nothing.
    """
    if not len(frame) or not len(frame.columns):
        raise DataError(f"{csv_path}: no numbers to write; draw the figure from a table with rows")
    with atomic_path(csv_path) as path:
        frame.to_csv(path, index=False, float_format=f"%.{_DIGITS}g", lineterminator="\n")
