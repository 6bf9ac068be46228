"""Tables for readers: rounded, with intervals, and with what each column is sorted by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from taskrsa.paper.claims import FAILS, HOLDS, OPEN
from taskrsa.text import estimate, is_known, number, p_value, percent

LONG = 25  # rows beyond which a table shows 20, which page.css says, until all are asked for
VERDICTS = {HOLDS: "holds", FAILS: "fails", OPEN: "open"}  # their classes on the page


@dataclass(frozen=True)
class Mark:
    """How a type is recognised: its class on the page, a letter-like sign, and its colour."""

    css: str = "type-none"
    glyph: str = ""
    colour: str = ""


@dataclass(frozen=True)
class Shown:
    """How a network is written on the page: its whole label and the mark of its type."""

    label: str
    mark: Mark = Mark()


Styles = Mapping[str, Shown]


@dataclass(frozen=True)
class Cell:
    """What a cell shows, what it is sorted by ("" comes last) and its class on the page."""

    text: str
    key: str = ""
    style: str = ""


@dataclass(frozen=True)
class Column:
    """A column of the page's table.

    Numbers have `digits` decimals, and an interval where the row has its ends, by default
    <name>_low and <name>_high. `form` says what is written otherwise: a "network", a "verdict", a
    "range" (both ends), "wide" text or "code", or one of `FORMS`.
    """

    name: str
    head: str
    form: str = ""
    digits: int = 2
    ends: str | None = None  # what the names of the interval's columns begin with
    words: Mapping[str, str] = field(default_factory=dict)  # what stands for values
    aside: bool = False  # a narrow screen shows it on demand only

    def cell(self, row: Mapping, styles: Styles) -> Cell:
        """Return what a row shows in this column; blank where it has no value."""
        value = row.get(self.name)
        if value is None or value != value:
            return Cell("")
        if self.form == "network":
            known = styles.get(value) or Shown(str(row.get("label", value)))
            return Cell(known.label, known.label.lower(), f"network {known.mark.css}")
        if self.form == "verdict":
            return Cell(value, value, f"verdict {VERDICTS[value]}")
        if isinstance(value, str):
            value = self.words.get(value, value)
            return Cell(value, value.lower(), self.form or "text")
        if self.form in FORMS:
            return Cell(FORMS[self.form](value), sort_key(value))
        low, high = (row.get(end) for end in self._ends())
        if self.form == "range":
            ends = [number(end, self.digits) for end in (low, high)]
            return Cell(" to ".join(dict.fromkeys(ends)), sort_key(low))
        # A rank among differences: a row may say its own decimals.
        digits = row.get("digits", claim_digits(value) if self.form == "claim" else self.digits)
        return Cell(estimate(value, low, high, digits), sort_key(value))

    def _ends(self) -> tuple[str, str]:
        prefix = f"{self.name if self.ends is None else self.ends}_".lstrip("_")
        return f"{prefix}low", f"{prefix}high"


@dataclass(frozen=True)
class Table:
    """A table of the page; `where` names the file its numbers come from, below the run's folder."""

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    where: str = ""
    folded: bool = False  # shown on demand
    note: str = ""  # what to know before reading it
    asides: Sequence[int] = ()  # columns that a narrow screen shows on demand

    @property
    def is_long(self) -> bool:
        """Whether only the first rows are shown until all are asked for."""
        return len(self.rows) > LONG and not self.folded

    def is_number(self, at: int) -> bool:
        """Whether a column holds numbers, which stand to the right and are sorted as such."""
        return not any(row[at].style for row in self.rows)


def table_of(
    frame: pd.DataFrame,
    styles: Styles,
    title: str,
    columns: Sequence[Column],
    where: str = "",
    folded: bool = False,
) -> Table | None:
    """Return a table for readers; None where there are no rows. Blank columns are left out."""
    rows = [[column.cell(row, styles) for column in columns] for row in frame.to_dict("records")]
    kept = [at for at in range(len(columns)) if any(row[at].text for row in rows)]
    if not kept:
        return None
    shown = [[row[at] for at in kept] for row in rows]
    asides = [at for at, column in enumerate(kept) if columns[column].aside]
    heads = [columns[at].head for at in kept]
    return Table(title, heads, shown, where, folded, asides=asides)


def sort_key(value: object) -> str:
    """Return what a number is sorted by; "" where it is unknown."""
    return f"{float(value):.6g}" if is_known(value) else ""


def amount(value: float) -> str:
    """Return seconds or the like: three digits, thousands apart."""
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f}"


def size(n_bytes: float) -> str:
    """Return a size in kB, MB or GB (powers of ten)."""
    for unit, power in (("GB", 9), ("MB", 6)):
        if n_bytes >= 10**power:
            return f"{n_bytes / 10**power:.3g} {unit}"
    return f"{n_bytes / 1000:.3g} kB"


FORMS = {"p": p_value, "percent": percent, "amount": amount, "size": size}


# --- claims ---


def claim_digits(value: object) -> int:
    """Return how many decimals suit a claim's number: ranks none, small differences three."""
    if not is_known(value):
        return 2
    size = abs(float(value))
    if size >= 1 and size == round(size):
        return 0
    return 3 if size < 0.1 else 2


def claim_published(row: Mapping) -> str:
    """Return the published value of a row of claims, or that the paper gives none."""
    return number(row["published"], claim_digits(row["published"]), unknown="no number")


def claim_ours(row: Mapping) -> str:
    """Return what a run found on a claim, with its interval."""
    return estimate(row["ours"], row["ci_low"], row["ci_high"], claim_digits(row["ours"]))
