"""What the paper and its authors published, read from the tables beside this module.

`claims.tsv`
    The paper's claims (Dwivedi & Roig, CVPR 2019): what is said and where, the value, the number
    of tasks or targets that it is over, and the rules by which a run is judged: the first judges,
    the others are conditions. The value is blank where the paper has a figure or words only, and
    "voc2012" where it follows from that table. `untested` says why a rule is not tested on what is
    published of the paper's own encoders; blank where it is, and passes.
`rules.tsv`
    The rules: the function of `taskrsa.paper.claims` that judges, its threshold, and its words.
`voc2012.tsv`
    For each network of the public bank, and for random initialisations of the bank's and of the
    small model's encoder: mIoU on Pascal VOC 2012 after fine-tuning; the place along the axis of
    Figure 8, most similar first (the heights of its bars were not published); the row of Table 2,
    which is in order of similarity. mIoU of the networks is that published later with Dwivedi et
    al. 2020 (arXiv 2008.02107), which, rounded, is Table 2's for its six; that of the random
    initialisations is Table 2's, measured on the test set.
`followup.tsv`
    Mean Spearman correlations of the follow-up (Dwivedi et al. 2020), as far as they are known
    here: for each of its measures that with Taskonomy's affinities and win rates, a target's own
    network among the sources, or with the mIoU above.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from taskrsa.io.files import read_rows

_HERE = Path(__file__).parent
VOC2012 = "voc2012"  # in place of a value that follows from that table


@dataclass(frozen=True)
class Rule:
    """How a value becomes a verdict; `words` are printed beside it."""

    name: str
    judge: str  # the judging function; "" for a condition that is checked before
    threshold: float | None
    words: str


@dataclass(frozen=True)
class Claim:
    """One number of a claim: what the paper says and where, and the rules it is judged by."""

    id: str  # C1 to C12
    key: str  # unique within the claim
    statement: str
    source: str  # page or figure of the paper
    published: float | None
    from_voc2012: bool  # the published value follows from `voc2012.tsv`
    n: int | None  # tasks or targets that the published value is over
    rules: tuple[Rule, ...]  # the first judges, the others are conditions
    untested: str  # why the rule is not tested on the paper's own encoders; "" where it is


def _number(text: str) -> float | None:
    return float(Fraction(text)) if text else None


def _rules() -> dict[str, Rule]:
    return {
        row["rule"]: Rule(row["rule"], row["judge"], _number(row["threshold"]), row["words"])
        for row in read_rows(_HERE / "rules.tsv")
    }


def _claims() -> tuple[Claim, ...]:
    return tuple(
        Claim(
            id=row["claim"],
            key=row["key"],
            statement=row["statement"],
            source=row["source"],
            published=None if row["published"] == VOC2012 else _number(row["published"]),
            from_voc2012=row["published"] == VOC2012,
            n=int(row["n"]) if row["n"] else None,
            rules=tuple(RULES[name] for name in row["rule"].split()),
            untested=row["untested"],
        )
        for row in read_rows(_HERE / "claims.tsv")
    )


def _in_order(column: str) -> tuple[str, ...]:
    """Return the networks that have a place in a column of `voc2012.tsv`, the first place first."""
    placed = [(int(row[column]), row["network"]) for row in _ROWS if row[column]]
    return tuple(network for _, network in sorted(placed))


RULES = _rules()
CLAIMS = _claims()

_ROWS = read_rows(_HERE / "voc2012.tsv")
MIOU = {row["network"]: float(row["miou"]) for row in _ROWS if row["miou"]}
FIGURE8 = _in_order("figure8")  # all 20, most similar first
TABLE2 = _in_order("table2")  # six, most similar first
FOLLOW_UP = {
    (row["measure"], row["with"]): float(row["spearman"])
    for row in read_rows(_HERE / "followup.tsv")
}


def values_of(claim: str, *keys: str, n: str = "n") -> dict[str, float]:
    """Return published values of a claim by key, and what they are over under the name `n`."""
    found = {row.key: row for row in CLAIMS if row.id == claim and row.key in keys}
    return {key: found[key].published for key in keys} | {n: found[keys[0]].n}
