"""What the page says of the advice: what it rests on, how sure it is, what the probe reaches."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from taskrsa.report.choice import (
    ADVICE,
    Choice,
    cost_of,
    size_of,
    untrained_of,
)
from taskrsa.report.inputs import Inputs
from taskrsa.report.view import amount
from taskrsa.report.words import Said, names_of, place, together
from taskrsa.targets.config import KINDS
from taskrsa.text import is_known, joined, number
from taskrsa.transferability.measures import MEASURES, measure_label

PROBE, RSA = "probe", "rsa"
PREFIX = "rank_"  # of the columns of the advice that are ranks by a measure
_ENDS = ("rank_low", "rank_high")
_PROBED = {"classification": "accuracy"}
_REMOVED = "share of the squared error removed"


def measures_of(advice: pd.DataFrame) -> list[str]:
    """Return the measures whose ranks an advice is the mean of."""
    columns = [name for name in advice.columns if name.startswith(PREFIX) and name not in _ENDS]
    return [name.removeprefix(PREFIX) for name in columns]


def is_of_rsa(inputs: Inputs, target: str) -> bool:
    """Whether the paper's measure is part of the advice, or all that there is instead."""
    advice = inputs.table("advice", target)
    return advice.empty or RSA in measures_of(advice)


def trainings(ranking: pd.DataFrame) -> int:
    """Return of how many seeds the small model is that a ranking is by, 0 if that is not known."""
    return int(ranking["n_seeds"].iloc[0]) if "n_seeds" in ranking and len(ranking) else 0


def at_layer(inputs: Inputs, target: str) -> pd.DataFrame:
    """Return the measures at the layer of the advice, and those that know no layers."""
    measures = inputs.table("measures", target)
    if measures.empty:
        return measures
    layer = inputs.config.targets[target].advice.layer
    return measures[measures["layer"].isna() | measures["layer"].isin(["", layer])]


def advised(inputs: Inputs, target: str, choice: Choice) -> Said:
    """Return what the advice says; `choice` is that of the page, which may know more."""
    advice = inputs.table("advice", target)
    if advice.empty:
        return Said()
    is_last_word = choice.basis == ADVICE
    parts = [
        Said([_first(advice, inputs, is_last_word), *_seen(inputs, target, advice)]),
        _probed(inputs, target, list(advice["model"][:2])),
    ]
    if is_last_word:
        parts.append(_as_good(inputs, target, choice))
    return together(parts)


def _first(advice: pd.DataFrame, inputs: Inputs, is_last_word: bool) -> str:
    first, measures = advice.iloc[0], [measure_label(one) for one in measures_of(advice)]
    name, by = inputs.label(first["model"]), joined(measures)
    start = name if is_last_word else f"Before fine-tuning, {name}"
    verb = "is" if is_last_word else "was"
    if len(measures) == 1:
        return f"{start} {verb} first of {len(advice)} networks by {by}."
    verb = "has" if is_last_word else "had"
    rank = number(first["mean_rank"])
    return f"{start} {verb} the best mean rank of {len(advice)} networks, {rank}, by {by}."


def _seen(inputs: Inputs, target: str, advice: pd.DataFrame) -> list[str]:
    """Say what was labelled and where features were taken, if a measure has looked at them."""
    images, config = inputs.table("images", target), inputs.config.targets[target]
    used = [MEASURES[name] for name in measures_of(advice) if name in MEASURES]
    if images.empty or not any(one.is_of_layer for one in used):
        return []
    n = int((images["split"] == "train").sum())
    n = min(n, config.n_train or n, config.advice.n_images)
    cells = ""
    if KINDS[config.kind].is_dense:
        grid = config.advice.grid
        cells = f" ({min(config.advice.cells, grid**2)} cells of each at most)"
    return [
        f"This rests on {n:,} labelled training images{cells} and on the networks' features at "
        f"{place(config.advice.layer)}."
    ]


def _probed(inputs: Inputs, target: str, models: Sequence[str]) -> Said:
    """Say what a probe of the first networks of the advice reaches on images held out."""
    table = at_layer(inputs, target)
    if table.empty:
        return Said()
    probes = table[(table["measure"] == PROBE) & table["score"].notna()].set_index("model")
    if models[0] not in probes.index:
        return Said()
    what = _PROBED.get(inputs.config.targets[target].kind, _REMOVED)
    first = probes.loc[models[0]]
    chance = f"; chance {number(first['chance'])}" if is_known(first["chance"]) else ""
    said = (
        f"On held-out images, a linear probe of {inputs.label(models[0])} reaches "
        f"{number(first['score'])} ({what}{chance})"
    )
    for second in models[1:]:
        if second in probes.index:
            score = number(probes.loc[second, "score"])
            said += f", that of {inputs.label(second)}, the second, {score}"
    if not (probes["score"] > probes["chance"]).any() and probes["chance"].notna().any():
        nothing = (
            "No linear probe does better than a constant answer: these images say little about "
            "any of the networks. Label more of them."
        )
        return Said([f"{said}."], [nothing])
    return Said([f"{said}."])


def _as_good(inputs: Inputs, target: str, choice: Choice) -> Said:
    if not choice.is_sure:
        said = "The advice is not resampled, so how certain its order is remains unknown."
        return Said(notes=[said])
    drawn = "With the images resampled"
    if is_of_rsa(inputs, target) and trainings(inputs.table("ranking", target)) > 1:
        drawn += " and the small models trained again"
    if not choice.others:
        return Said([f"{drawn}, no other network is likely to be as good (95 %)."])
    names = names_of(inputs, choice.others)
    said = f"{drawn}, {names} may be as good (95 %)."
    if choice.none_differs:
        said = f"{drawn}, any of the networks may be the best (95 %)."
    return Said([said, *cheapest_said(inputs, target, choice)])


def cheapest_said(inputs: Inputs, target: str, choice: Choice) -> list[str]:
    """Say which of the networks that may be the best is the cheapest, and by what."""
    models = [choice.model, *choice.others]
    name = inputs.label(choice.cheapest)
    seconds = cost_of(inputs, target, [choice.cheapest])
    if seconds:
        minutes = amount(seconds[choice.cheapest] / 60)
        return [f"The cheapest of these is {name}: fine-tuning it takes about {minutes} minutes."]
    sizes = size_of(inputs, target, models)
    if choice.cheapest in sizes:
        millions = amount(10 ** sizes[choice.cheapest] / 1e6)
        return [f"The smallest of these is {name}, with {millions} million parameters."]
    return []


def untrained_said(inputs: Inputs, target: str, choice: Choice) -> Said:
    """Warn where networks with random weights are as good as any."""
    untrained = untrained_of(inputs, target)
    if choice.model in untrained:
        trained = [model for model in choice.order if model not in untrained]
        best = (
            f" The best with pretrained weights is {inputs.label(trained[0])}." if trained else ""
        )
        name = inputs.label(choice.model)
        return Said((), [f"{name} is untrained: pretraining does not help here.{best}"])
    tied = [model for model in choice.others if model in untrained]
    if not tied:
        return Said()
    are, they = ("are", "they") if len(tied) > 1 else ("is", "it")
    return Said(
        (),
        [
            f"{names_of(inputs, tied)} {are} untrained, and {they} may be as good: whether "
            "pretraining helps here is not certain."
        ],
    )
