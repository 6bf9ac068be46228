"""What a race decided: each round's table, and the table of all rounds.

Columns of the latter, one row a network and round, the best of a round first; the last row is the
winner, trained in full:

round           from 1
model, label, type
trained         "whole network", "part of network" or "head only"
steps           that the network was trained for by the end of the round
cost            steps of this round
score           on the validation part of the training images, by which the race decides
place           in the round; equal scores are placed in the order of entry
survives        "yes" or "no"
metric, n_val   of the score; images of the validation part (blank where only one entered)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from taskrsa.transferability.race import Round

SURVIVES = {True: "yes", False: "no"}
_KEPT = ["model", "trained", "metric", "n_val", "score"]


def decided(runs: pd.DataFrame, keep: int) -> pd.DataFrame:
    """Return the networks of a round, best first, and whether they survive.

    Parameters
    ----------
    runs : rows of `taskrsa.training.results`, in the order of entry, which decides between equals
    keep : how many survive
    """
    ordered = runs[_KEPT].sort_values("score", ascending=False, kind="stable", ignore_index=True)
    ordered["survives"] = [SURVIVES[at < keep] for at in range(len(ordered))]
    return ordered


def race_rows(
    tables: Sequence[pd.DataFrame],
    winner: pd.DataFrame,
    rounds: Sequence[Round],
    networks: Mapping[str, tuple[str, str]],
) -> pd.DataFrame:
    """Return the table of a race.

    Parameters
    ----------
    tables : of `decided`, of all rounds but the last
    winner : one row: model, trained, metric, and its score on the validation part after all steps
    rounds : the schedule
    networks : label and type by name
    """
    n_val = tables[-1]["n_val"].iloc[0] if tables else np.nan
    winner, parts = winner.assign(n_val=n_val, survives=SURVIVES[True]), []
    for number, (table, one) in enumerate(zip([*tables, winner], rounds, strict=True), 1):
        labels, types = zip(*(networks[name] for name in table["model"]), strict=True)
        parts.append(
            pd.DataFrame(
                {
                    "round": number,
                    "model": table["model"],
                    "label": labels,
                    "type": types,
                    "trained": table["trained"],
                    "steps": one.until,
                    "cost": one.until - one.since,
                    "score": table["score"],
                    "place": np.arange(1, len(table) + 1),
                    "survives": table["survives"],
                    "metric": table["metric"],
                    "n_val": table["n_val"],
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


@dataclass(frozen=True)
class Outcome:
    """What a race says: `cost` is in full fine-tunings; runner-up and margin, the difference of
    scores in the round that decided between the two, are None where one network entered."""

    winner: str
    entrants: int
    cost: float
    runner_up: str | None
    margin: float | None


def outcome(rows: pd.DataFrame) -> Outcome:
    """Return what a table of `race_rows` says."""
    final = rows.iloc[-1]
    cost = rows["cost"].sum() / final["steps"]
    entrants = int((rows["round"] == 1).sum())
    before = rows[rows["round"] == final["round"] - 1]
    if before.empty:
        return Outcome(final["model"], entrants, float(cost), None, None)
    first, second = before.iloc[0], before.iloc[1]
    margin = float(first["score"] - second["score"])
    return Outcome(final["model"], entrants, float(cost), second["model"], margin)
