"""From tables of numbers to tables for readers: rounding, intervals, keys to sort by."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True)
class Cell:
    """What a cell shows, what it is sorted by ("" comes last) and its class on the page."""

    text: str
    key: str = ""
    style: str = ""


@dataclass(frozen=True)
class Column:
    """A column of the page's table: its head, and how a row of ours becomes a cell."""

    head: str
    cell: Callable[[Mapping], Cell]
    number: bool = True
    wide: bool = False  # running text, which needs width


@dataclass(frozen=True)
class Table:
    """A table of the page; `where` names the file its numbers come from, below the run's folder."""

    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    where: str = ""
    folded: bool = False  # shown when asked for


def number(value: object, digits: int = 2) -> str:
    """Return a number with so many decimals, with a true minus sign; "" for what is not known."""
    if value is None or not _finite(value):
        return ""
    text = f"{float(value):.{digits}f}"
    # Rounded to nothing: no sign.
    text = text.removeprefix("-") if float(text) == 0 else text
    return text.replace("-", MINUS)


def p_value(value: object) -> str:
    """Return a p value as it is written: two digits, and "< 0.001" below that."""
    if value is None or not _finite(value):
        return ""
    if float(value) < 0.001:
        return "< 0.001"
    return f"{float(value):.2g}" if float(value) < 0.1 else f"{float(value):.2f}"


def estimate(value: object, low: object, high: object, digits: int = 2) -> str:
    """Return a value with its interval, as "0.47 [0.44, 0.50]"; without it where it has none."""
    text, ends = number(value, digits), [number(end, digits) for end in (low, high)]
    return f"{text} [{ends[0]}, {ends[1]}]" if text and all(ends) else text


def amount(value: float) -> str:
    """Return a number of seconds or the like: three digits, thousands apart."""
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f}"


def size(n_bytes: float) -> str:
    """Return a size in kB, MB or GB (powers of ten)."""
    for unit, power in (("GB", 9), ("MB", 6)):
        if n_bytes >= 10**power:
            return f"{n_bytes / 10**power:.3g} {unit}"
    return f"{n_bytes / 1000:.3g} kB"


def share(value: object) -> str:
    """Return a share in per cent."""
    return f"{number(100 * float(value), 0)} %" if value is not None and _finite(value) else ""


def joined(names: Sequence[str]) -> str:
    """Return names as running text, "a, b and c"."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _finite(value: object) -> bool:
    try:
        return math.isfinite(float(value))
    except (TypeError, ValueError):
        return False


def sort_key(value: object) -> str:
    """Return what a number is sorted by; "" where it is not known."""
    return f"{float(value):.6g}" if value is not None and _finite(value) else ""


# --- columns ---


def text(name: str, head: str, *, wide: bool = False, style: str = "") -> Column:
    """A column of text; text sorts as it reads."""

    def cell(row: Mapping) -> Cell:
        value = row.get(name)
        shown = "" if value is None or value != value else str(value)
        return Cell(shown, shown.lower(), style)

    return Column(head, cell, number=False, wide=wide)


def model(styles: Mapping, name: str = "model", head: str = "network") -> Column:
    """A column of networks: their names in figures, with the colour of their type."""

    def cell(row: Mapping) -> Cell:
        known = styles.get(row[name])
        shown = known.label if known else str(row[name])
        return Cell(shown, shown.lower(), type_class(known.type if known else ""))

    return Column(head, cell, number=False)


def type_class(kind: str) -> str:
    """Return the page's class for a task type; types of a user's own share one."""
    known = {"2D": "type-2d", "3D": "type-3d", "geometric": "type-geo", "semantic": "type-sem"}
    return known.get(kind, "type-other")


def value(name: str, head: str, digits: int = 2) -> Column:
    """A column of numbers."""
    return Column(head, lambda row: Cell(number(row.get(name), digits), sort_key(row.get(name))))


def count(name: str, head: str) -> Column:
    """A column of whole numbers."""
    return value(name, head, 0)


def p(name: str, head: str = "p") -> Column:
    """A column of p values."""
    return Column(head, lambda row: Cell(p_value(row.get(name)), sort_key(row.get(name))))


def with_interval(
    name: str, head: str, low: str | None = None, high: str | None = None, digits: int = 2
) -> Column:
    """A column of estimates with their intervals, sorted by the estimate."""
    low, high = low or f"{name}_low", high or f"{name}_high"

    def cell(row: Mapping) -> Cell:
        shown = estimate(row.get(name), row.get(low), row.get(high), digits)
        return Cell(shown, sort_key(row.get(name)))

    return Column(head, cell)


def interval(low: str, high: str, head: str, digits: int = 0) -> Column:
    """A column of intervals, "2 to 5", sorted by their lower end; one number where both agree."""

    def cell(row: Mapping) -> Cell:
        ends = [number(row.get(end), digits) for end in (low, high)]
        if not all(ends):
            return Cell("")
        shown = ends[0] if ends[0] == ends[1] else f"{ends[0]} to {ends[1]}"
        return Cell(shown, sort_key(row[low]))

    return Column(head, cell)


def table_of(
    frame: pd.DataFrame,
    title: str,
    columns: Sequence[Column],
    where: str = "",
    folded: bool = False,
) -> Table | None:
    """Return a table for readers; None where there are no rows. Columns that are all blank go."""
    rows = [[column.cell(row) for column in columns] for row in frame.to_dict("records")]
    if not rows:
        return None
    kept = [at for at in range(len(columns)) if any(row[at].text for row in rows)]
    return Table(
        title,
        [columns[at] for at in kept],
        [[row[at] for at in kept] for row in rows],
        where,
        folded,
    )


# --- claims ---


def claim_digits(value: object) -> int:
    """Return how many decimals suit a claim's number: ranks none, small differences three."""
    if value is None or not _finite(value):
        return 2
    size = abs(float(value))
    if size >= 1 and size == round(size):
        return 0
    return 3 if size < 0.1 else 2


def claim_published(row: Mapping) -> str:
    """Return the published value of a row of claims; where the paper gives none, that."""
    return number(row["published"], claim_digits(row["published"])) or "no number"


def claim_ours(row: Mapping) -> str:
    """Return what a run found on a claim, with its interval."""
    return estimate(row["ours"], row["ci_low"], row["ci_high"], claim_digits(row["ours"]))
