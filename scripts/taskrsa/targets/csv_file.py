"""CSV files of labelled photographs: a class, or one or several numbers, for each image.

Columns: image (path from the CSV's folder) and, if wanted, split (train or val). For a
classification also label; for values every other column is a number, such as a price or an age.
"""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from taskrsa.errors import DataError
from taskrsa.targets.examples import (
    Example,
    Layout,
    classes_of,
    layout_of,
    missing,
    refuse_doubles,
)
from taskrsa.targets.sets import ROLES
from taskrsa.text import first_few, is_known

_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}  # that a CSV file may have in vain
_IMAGE, _SPLIT, _LABEL = "image", "split", "label"


def read_csv(
    kind: str, path: str | Path, val_share: float, seed: int, unknown: float | None = None
) -> Layout:
    """Return the photographs that a CSV file lists (classification or values; `unknown` is the
    number that means no value).

    The share and the seed, and errors, are those of `layout_of`; DataError also if the file cannot
    be read, a column or an image is missing, or a cell cannot be used (with its line).
    """
    path = Path(path)
    header, rows = _rows(path)
    more: dict[str, tuple] = {"lists": (path,)}
    if kind == "classification":
        _require(path, header, _LABEL)
        label_of = _class_of
    else:
        names = tuple(name for name in header if name not in (_IMAGE, _SPLIT))
        if not names:
            raise DataError(f"{path}: has no column of numbers besides image; add one, or several")
        more["classes"] = names
        label_of = partial(_values_of, names, unknown)
    examples = [_example(path, line, row, label_of) for line, row in rows]
    refuse_doubles(path, examples)
    if len({bool(one.split) for one in examples}) > 1:
        raise DataError(f"{path}: some rows have a split and some not; give it to all or to none")
    # Not Path.is_file, which fails on names that are too long.
    absent = [str(one.image) for one in examples if not os.path.isfile(one.image)]  # noqa: PTH113
    if absent:
        raise DataError(
            f"{path}: {len(absent)} images are missing: {first_few(absent)}; correct the column "
            "image"
        )
    if kind == "classification" and len(classes_of(examples)) < 2:
        raise DataError(f"{path}: holds one label only; classification needs two or more")
    return layout_of(path, examples, val_share, seed, **more)


def _rows(path: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """Return the header, and the line and cells of every row."""
    if path.is_dir():
        raise DataError(f"{path}: is a folder; name the CSV file in it")
    try:
        with open(path, newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            rows = [(reader.line_num, row) for row in reader]
            header = [name.strip() for name in reader.fieldnames or []]
    except FileNotFoundError:
        raise missing(path) from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read ({error}); save it as UTF-8 CSV") from None
    _require(path, header, _IMAGE)
    if not rows:
        raise DataError(f"{path}: has no row; list images")
    for name in header:
        if header.count(name) > 1:
            raise DataError(f"{path}: column {name} is listed twice; rename or remove one")
    found = []
    for line, row in rows:
        if None in row:
            raise DataError(f"{path}, line {line}: has more cells than the header; remove some")
        cells = ((value or "").strip() for value in row.values())
        found.append((line, dict(zip(header, cells, strict=True))))
    return header, found


def _require(path: Path, header: list[str], column: str) -> None:
    for sign, name in _SEPARATORS.items():
        if column not in header and column in "".join(header).split(sign):
            raise DataError(f"{path}: is separated by {name}; save it with commas")
    if column not in header:
        raise DataError(f"{path}: has no column {column}; add it, or correct its name")


def _example(path: Path, line: int, row: dict[str, str], label_of: Callable) -> Example:
    image, split = row[_IMAGE], row.get(_SPLIT, "")
    if not Path(image).name or split not in ("", *ROLES):
        raise DataError(f"{path}, line {line}: needs an image, and train, val or nothing as split")
    label = label_of(f"{path}, line {line}", row)
    return Example(Path(image).with_suffix("").as_posix(), split, path.parent / image, label)


def _class_of(where: str, row: dict[str, str]) -> str:
    if not row[_LABEL]:
        raise DataError(f"{where}: has no label; add it or remove the line")
    return row[_LABEL]


def _values_of(
    names: tuple[str, ...], unknown: float | None, where: str, row: dict[str, str]
) -> tuple[float, ...]:
    for name in names:
        if not is_known(row[name]):
            raise DataError(f"{where}: {name} is {row[name]!r}, not a number; correct the cell")
    values = (float(row[name]) for name in names)
    return tuple(math.nan if value == unknown else value for value in values)
