"""Numbers and lists of names as text: one form for tables, figures, pages and messages."""

from __future__ import annotations

import math
from collections.abc import Sequence

MINUS = "\N{MINUS SIGN}"
LEAST_P = 0.001  # smaller p values are written as "< 0.001"


def is_known(value: object) -> bool:
    """Return whether a value of a table is a finite number, or the text of one."""
    try:
        return math.isfinite(float(value))
    except (TypeError, ValueError):
        return False


def number(value: object, digits: int = 2, *, leading_zero: bool = True, unknown: str = "") -> str:
    """Return a number with `digits` decimals and a true minus sign.

    Without `leading_zero` 0.84 is .84, as journals write numbers that cannot exceed 1. `unknown`
    stands for None, nan, infinity and whatever is not a number.
    """
    if not is_known(value):
        return unknown
    text = f"{float(value):.{digits}f}"
    if float(text) == 0:  # what is rounded to 0 has no sign
        text = text.removeprefix("-")
    if not leading_zero and abs(float(text)) < 1:
        text = text.replace("0.", ".", 1)
    return text.replace("-", MINUS)


def p_value(value: object, *, leading_zero: bool = True, unknown: str = "") -> str:
    """Return a p value: two digits ("0.012", "0.35"), or "< 0.001"."""
    if not is_known(value):
        return unknown
    if float(value) < LEAST_P:
        return f"< {number(LEAST_P, 3, leading_zero=leading_zero)}"
    if float(value) >= 0.1:
        return number(value, 2, leading_zero=leading_zero)
    text = f"{float(value):.2g}"
    return text if leading_zero else text.removeprefix("0")


def estimate(
    value: object,
    low: object,
    high: object,
    digits: int = 2,
    *,
    leading_zero: bool = True,
    unknown: str = "",
) -> str:
    """Return a value with its interval, "0.47 [0.44, 0.50]"; alone where it has no interval."""
    text = number(value, digits, leading_zero=leading_zero, unknown=unknown)
    if not (is_known(value) and is_known(low) and is_known(high)):
        return text
    ends = [number(end, digits, leading_zero=leading_zero) for end in (low, high)]
    return f"{text} [{ends[0]}, {ends[1]}]"


def percent(value: object, digits: int = 0, *, unknown: str = "") -> str:
    """Return a share, 0.25, as "25 %"."""
    return f"{number(100 * float(value), digits)} %" if is_known(value) else unknown


def one_line(error: object) -> str:
    """Return what an error says, on one line."""
    return " ".join(str(error).split())


def joined(names: Sequence[str]) -> str:
    """Return names as running text, "a, b and c"."""
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def first_few(names: Sequence[object], most: int = 5, separator: str = ", ") -> str:
    """Return the first names and how many more there are: "a, b, c and 4 more"."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return separator.join(str(name) for name in names[:most]) + more


_METRICS = {"miou": "mIoU", "error_removed": "share of the error removed"}


def metric_name(metric: str) -> str:
    """Return what scores of a target are, in words."""
    return _METRICS.get(metric, metric.replace("_", " "))
