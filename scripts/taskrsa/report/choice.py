"""Which network the page names for a target, on what evidence, and which may be as good.

What fine-tuning showed counts more than the advice, and the advice more than the paper's ranking,
which alone is there for a target without labels.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd

from taskrsa.report.inputs import Inputs
from taskrsa.transferability.race_table import outcome

RACE, TUNED, ADVICE, SIMILARITY = "race", "fine-tuning", "advice", "similarity"


@dataclass(frozen=True)
class Choice:
    """A network and its rivals.

    Parameters
    ----------
    basis : of the constants of this module
    order : all networks that were compared, best first
    others : networks that may be as good, in that order
    is_sure : false where nothing tells how certain the order is
    cheapest : of the network and the others, that which is fine-tuned soonest
    """

    model: str
    basis: str
    order: Sequence[str]
    others: Sequence[str] = ()
    is_sure: bool = True
    cheapest: str = ""

    @property
    def of(self) -> int:
        """How many networks were compared."""
        return len(self.order)

    @property
    def none_differs(self) -> bool:
        """Whether nothing tells any of the networks from the first."""
        return self.of > 1 and len(self.others) + 1 == self.of

    @property
    def is_open(self) -> bool:
        """Whether more than half of the networks may be the best, so that cost decides."""
        n = len(self.others) + 1
        return self.none_differs or (n > 2 and 2 * n > self.of)

    @property
    def take(self) -> str:
        """The network to take."""
        return self.cheapest if self.is_open else self.model


def choice_of(inputs: Inputs, target: str) -> Choice:
    """Return the network that the page names for a target."""
    race, tuned = inputs.table("race", target), tuned_of(inputs, target)
    if len(race) and outcome(race).runner_up:
        found = _by_race(race)
    elif len(tuned) > 1:
        found = _by_scores(tuned)
    elif len(inputs.table("advice", target)):
        found = _by_ranks(inputs.table("advice", target), ADVICE)
    else:
        ranking = inputs.table("ranking", target).sort_values("rank", kind="stable")
        found = _by_ranks(ranking, SIMILARITY)
    cheapest = cheapest_of(inputs, target, [found.model, *found.others])
    return Choice(**{**vars(found), "cheapest": cheapest})


def tuned_of(inputs: Inputs, target: str) -> pd.DataFrame:
    """Return the scores of the networks of the bank that were fine-tuned, best first; others have
    no rank."""
    scores = inputs.table("scores", target)
    if scores.empty:
        return scores
    known = scores[scores["rank"].notna()]
    return known.sort_values("score", ascending=False, kind="stable")


def _by_race(race: pd.DataFrame) -> Choice:
    """Return the winner of a race of several networks; as good is one level with it at the end."""
    said = outcome(race)
    rows = race.sort_values(["round", "place"], ascending=[False, True], kind="stable")
    level = [] if said.margin else [said.runner_up]
    return Choice(said.winner, RACE, list(dict.fromkeys(rows["model"])), level)


def _by_scores(tuned: pd.DataFrame) -> Choice:
    """Return the best network. As good are those that are behind it by no more than a deviation
    over seeds, of the two the larger; and all, where none is better than a constant answer."""
    best, deviation = tuned.iloc[0], tuned["score_sd"].fillna(0)
    reach = deviation.clip(lower=deviation.iloc[0])
    close = (tuned["score"] >= best["score"] - reach) | ~(best["score"] > best["chance_score"])
    others = tuned.loc[close, "model"].tolist()[1:]
    return Choice(best["model"], TUNED, list(tuned["model"]), others)


def _by_ranks(table: pd.DataFrame, basis: str) -> Choice:
    """Return the first of a table that is in order and says what is tied with the first."""
    first, tied = table["model"].iloc[0], table["tied"] == "yes"
    others = [model for model in table.loc[tied, "model"] if model != first]
    return Choice(first, basis, list(table["model"]), others, is_sure=bool(tied.any()))


def untrained_of(inputs: Inputs, target: str) -> set[str]:
    """Return the networks whose weights are random."""
    advice = inputs.table("advice", target)
    return set(advice.loc[advice["untrained"] == "yes", "model"]) if len(advice) else set()


def cheapest_of(inputs: Inputs, target: str, models: Sequence[str]) -> str:
    """Return the network that is fine-tuned soonest or, where that is not known, has the fewest
    parameters; an untrained one only where all are."""
    untrained = untrained_of(inputs, target)
    models = [model for model in models if model not in untrained] or list(models)
    costs = cost_of(inputs, target, models) or size_of(inputs, target, models)
    return min(costs, key=costs.get) if costs else models[0]


def cost_of(inputs: Inputs, target: str, models: Iterable[str]) -> dict[str, float]:
    """Return the estimated seconds of fine-tuning of some networks."""
    cost = inputs.table("cost", target)
    return _by_model(cost, "seconds", models) if len(cost) else {}


def size_of(inputs: Inputs, target: str, models: Iterable[str]) -> dict[str, float]:
    """Return the logarithm of the number of parameters of some networks."""
    measures = inputs.table("measures", target)
    if measures.empty:
        return {}
    return _by_model(measures[measures["measure"] == "size"], "score", models)


def _by_model(table: pd.DataFrame, column: str, models: Iterable[str]) -> dict[str, float]:
    values = table.dropna(subset=column).set_index("model")[column]
    return {model: float(values[model]) for model in models if model in values.index}
