"""Which measure chooses well? Measures of transfer against what fine-tuning reached, over targets.

A method orders the networks of a target by a number, the higher the better: one measure at one
layer, or a combination, minus the mean of the ranks that two or three measures give (as
`taskrsa.transferability.advice` does). For each method and target:

spearman        rank correlation with the fine-tuned scores, mean over seeds
weighted_tau    `scipy.stats.weightedtau`, in which the best networks count most (Vigna 2015)
regret          score lost by taking the method's first choice, as a share of the range from chance,
                the best constant answer, to the best network; 1 for whatever is below chance. Of
                networks that are equally good by the method, the mean
untrained_first share of the first choices that are untrained networks

A network without a score by a measure is last by it. A measure that scores no network of a target
is left out of combinations there. Beside the methods stand:

blind       mean rank on the other targets, which does not look at this one
any         a random pick: expected values
seeds       the scores of one seed as a method for those of another, the mean over all pairs: what
            no method can beat by much

Means over targets have 95 % intervals by Student's t, cut at what the statistic can be: targets are
few, and a bootstrap of few is too narrow.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations

import numpy as np
import pandas as pd
from scipy.stats import rankdata, t, weightedtau

from taskrsa.analysis.ranking import FEWEST, ranking_agreement
from taskrsa.errors import DataError
from taskrsa.rsa.inference import LEVEL
from taskrsa.transferability import FEWEST_TARGETS, TAP
from taskrsa.transferability.measures import measure_label

BLIND, RANDOM, SEEDS = "blind", "any", "seeds"
BASELINES = {
    BLIND: "mean rank on the other targets",
    RANDOM: "a random pick, expected",
    SEEDS: "fine-tuning with another seed",
}
# Measures that give no advice: a draw, and what a user may know beforehand.
NOT_COMBINED = ("random", "prior")
# With the least that each can be; the most is 1.
STATISTICS = {"spearman": -1.0, "weighted_tau": -1.0, "regret": 0.0, "untrained_first": 0.0}
_MOST = 3  # measures of a combination


@dataclass(frozen=True)
class Outcome:
    """What is known of a target.

    runs : scores by network (rows) and seed (columns); chance : of the best constant answer
    measures : columns model, measure, layer (blank for none) and score
    untrained : names of the networks whose weights are random
    """

    runs: pd.DataFrame
    chance: float
    measures: pd.DataFrame
    untrained: frozenset[str]

    @property
    def networks(self) -> list[str]:
        return list(self.runs.index)

    @property
    def scores(self) -> np.ndarray:
        return self.runs.mean(axis=1).to_numpy()


@dataclass(frozen=True)
class Method:
    """One or several measures at a layer, "" for measures that know no layers."""

    measures: tuple[str, ...]
    layer: str = ""

    @property
    def name(self) -> str:
        return "+".join(self.measures) + (f"@{self.layer}" if self.layer else "")

    @property
    def label(self) -> str:
        layer = f", {self.layer}" if self.layer not in ("", TAP) else ""
        return " + ".join(map(measure_label, self.measures)) + layer


def outcome(runs: pd.DataFrame, measures: pd.DataFrame, advice: pd.DataFrame) -> Outcome:
    """Return what the tables of a target say: its runs, measures and advice (which networks there
    are, and which are untrained).

    Raises
    ------
    DataError
        If a network was not fine-tuned with every seed, or there are fewer than three.
    """
    wide = runs.pivot(index="model", columns="seed", values="score")
    names = [name for name in advice["model"] if name in wide.index]
    wide = wide.loc[names, wide.loc[names].notna().any()].sort_index()
    if len(wide) < FEWEST or wide.isna().any(axis=None):
        raise DataError(
            f"study: {len(wide)} networks were fine-tuned, with a run of every seed for "
            f"{int(wide.notna().all(axis=1).sum())}; set finetune to all for every target of it"
        )
    untrained = advice["model"][advice["untrained"] == "yes"]
    chance = float(runs["chance_score"].iloc[0])
    return Outcome(wide, chance, measures, frozenset(untrained))


# --- methods ---


def methods_of(outcomes: Mapping[str, Outcome]) -> list[Method]:
    """Return every measure at every layer, and all combinations of two and three measures at the
    tap or without a layer, in an order that does not depend on that of the rows."""
    tables = [one.measures for one in outcomes.values()]
    pairs = {
        pair
        for table in tables
        for pair in zip(table["measure"], table["layer"].fillna(""), strict=True)
    }
    singles = [Method((measure,), at) for measure, at in sorted(pairs)]
    names = sorted({m for m, at in pairs if at in ("", TAP) and m not in NOT_COMBINED})
    return singles + [
        Method(chosen, TAP) for size in range(2, _MOST + 1) for chosen in combinations(names, size)
    ]


def order_of(method: Method, target: Outcome) -> np.ndarray | None:
    """Return a number for each network, the higher the better; None where none of the method's
    measures scores any."""
    ranks = [
        ranks
        for measure in method.measures
        if (ranks := _ranks(measure, method.layer, target)) is not None
    ]
    return -np.mean(ranks, axis=0) if ranks else None


def _ranks(measure: str, layer: str, target: Outcome) -> np.ndarray | None:
    """Return the networks' ranks by a measure, 1 for the highest score."""
    table = target.measures
    at = table["layer"].fillna("")
    rows = table[(table["measure"] == measure) & at.isin(["", layer])]
    scores = rows.set_index("model")["score"].reindex(target.networks).to_numpy(dtype=float)
    if np.isnan(scores).all():
        return None
    return rankdata(np.where(np.isnan(scores), np.inf, -scores))


# --- a method on a target ---


def judged(order: np.ndarray, reached: np.ndarray, chance: float, untrained: np.ndarray) -> dict:
    """Return the `STATISTICS` of an order (m,) of networks, higher is better, against the scores
    (m,) that they reached; untrained (m,) is true of networks with random weights."""
    lost = regrets(reached, chance)
    first = order == order.max()
    tau = weightedtau(rankdata(order), rankdata(reached)).statistic
    return {
        "spearman": float(ranking_agreement(order, reached)["spearman"]),
        "weighted_tau": float(tau),
        "regret": float(lost[first].mean()),
        "untrained_first": float(untrained[first].mean()),
    }


def regrets(reached: np.ndarray, chance: float) -> np.ndarray:
    """Return what is lost by taking each network (m,); nan where none is better than chance."""
    best = reached.max()
    if not best > chance:
        return np.full(len(reached), np.nan)
    return np.minimum(1.0, (best - reached) / (best - chance))


def study_rows(outcomes: Mapping[str, Outcome], methods: Iterable[Method]) -> pd.DataFrame:
    """Return one row for each method and target: target, method, label, measures (by spaces),
    layer, n_models, the `STATISTICS` and first, what it puts first (several by spaces).

    Methods that say nothing of a target have no row there. Baselines come last.
    """
    rows = []
    for name, target in outcomes.items():
        for method in methods:
            order = order_of(method, target)
            if order is not None:
                rows.append(_row(name, method.name, order, target, method))
        rows += _baseline_rows(name, outcomes)
    order = {method: place for place, method in enumerate(dict.fromkeys(r["method"] for r in rows))}
    table = pd.DataFrame(rows)
    places = table["method"].map(lambda method: (method in BASELINES, order[method]))
    return table.iloc[np.argsort(places, kind="stable")].reset_index(drop=True)


def _row(
    name: str, method: str, order: np.ndarray, target: Outcome, parts: Method | None = None
) -> dict:
    untrained = np.isin(target.networks, list(target.untrained))
    best = np.flatnonzero(order == order.max())
    return {
        "target": name,
        "method": method,
        "label": parts.label if parts else BASELINES[method],
        "measures": " ".join(parts.measures) if parts else "",
        "layer": parts.layer if parts else "",
        "n_models": len(order),
        **judged(order, target.scores, target.chance, untrained),
        "first": " ".join(target.networks[place] for place in best),
    }


def _baseline_rows(name: str, outcomes: Mapping[str, Outcome]) -> list[dict]:
    target = outcomes[name]
    untrained = np.isin(target.networks, list(target.untrained))
    anyone = {
        **_row(name, RANDOM, np.zeros(len(target.networks)), target),
        **{"spearman": 0.0, "weighted_tau": 0.0, "first": ""},
    }
    rows = [_row(name, BLIND, _blind(name, outcomes), target), anyone]
    pairs = list(permutations(target.runs.columns, 2))
    # Where only a lucky seed is better than chance, nothing can be lost.
    if pairs and not np.isnan(regrets(target.scores, target.chance)).all():
        runs = target.runs
        found = [
            judged(runs[one].to_numpy(), runs[other].to_numpy(), target.chance, untrained)
            for one, other in pairs
        ]
        means = {key: float(np.mean([one[key] for one in found])) for key in STATISTICS}
        rows.append({**anyone, "method": SEEDS, "label": BASELINES[SEEDS], **means})
    return rows


def _blind(name: str, outcomes: Mapping[str, Outcome]) -> np.ndarray:
    """Return minus the mean rank of each network on the other targets that have it; a network that
    none has is last."""
    others = [
        pd.Series(rankdata(-other.scores) / len(other.networks), other.networks)
        for place, other in outcomes.items()
        if place != name
    ]
    ranks = pd.concat(others, axis=1).mean(axis=1).reindex(outcomes[name].networks)
    return -ranks.fillna(2.0).to_numpy()


# --- over targets ---


def summary_rows(rows: pd.DataFrame, n_targets: int) -> pd.DataFrame:
    """Return one row a method, those with the least mean regret on all targets first: method,
    label, measures, layer, n_targets, the `STATISTICS` with _low and _high, regret_worst."""
    found = []
    for method, some in rows.groupby("method", sort=False):
        row = {"method": method, **some[["label", "measures", "layer"]].iloc[0]}
        row["n_targets"] = int(some["regret"].notna().sum())
        for key in STATISTICS:
            row |= with_t_interval(key, some[key].to_numpy())
        found.append({**row, "regret_worst": some["regret"].max()})
    table = pd.DataFrame(found)
    partial = table["n_targets"] < n_targets
    places = np.lexsort([table["method"], -table["weighted_tau"], table["regret"], partial])
    return table.iloc[places].reset_index(drop=True)


def with_t_interval(name: str, values: np.ndarray) -> dict[str, float]:
    """Return the mean of values (n,), nan left out, and its interval by Student's t as the columns
    `name`, `name`_low and `name`_high; `name` is of `STATISTICS`."""
    known = values[~np.isnan(values)]
    mean = float(known.mean()) if len(known) else np.nan
    reach = np.nan
    if len(known) > 1:
        reach = float(
            t.ppf((1 + LEVEL) / 2, len(known) - 1) * known.std(ddof=1) / len(known) ** 0.5
        )
    ends = np.clip([mean - reach, mean + reach], STATISTICS[name], 1.0)
    return {name: mean, f"{name}_low": float(ends[0]), f"{name}_high": float(ends[1])}


# --- leave one target out ---

FAMILIES = ("single measures", "combinations", "all")


def choice_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """Return what choosing a method on the other targets gives on each, from `study_rows`.

    For each held-out target the method with the least mean regret on the others is taken; of equal
    ones that with the greater weighted tau there, then that of fewer measures, then by name. Only
    methods that say something of every target can be taken, and no baselines. Targets on which no
    network is better than chance are left out.

    Returns
    -------
    Rows family (of `FAMILIES`), held_out, method, regret_others and the `STATISTICS` on the
    held-out target; then held_out "mean" with _low and _high and regret_worst, and held_out
    "none": what is chosen on all targets, with regret_others over them, which is optimistic. Empty
    for fewer than `FEWEST_TARGETS` targets.
    """
    usable = rows[rows["regret"].notna()]
    targets = list(dict.fromkeys(usable["target"]))
    usable = usable[~usable["method"].isin(BASELINES) & ~usable["measures"].isin(NOT_COMBINED)]
    counts = usable.groupby("method")["target"].nunique()
    usable = usable[usable["method"].isin(counts.index[counts == len(targets)])]
    is_single = ~usable["measures"].str.contains(" ")
    families = dict(zip(FAMILIES, (usable[is_single], usable[~is_single], usable), strict=True))
    found = [
        row
        for family, some in families.items()
        if len(targets) >= FEWEST_TARGETS and not some.empty
        for row in _choices(family, some, targets)
    ]
    ends = [f"{key}{end}" for key in STATISTICS for end in ("", "_low", "_high")]
    columns = ["family", "held_out", "method", "regret_others", *ends, "regret_worst"]
    return pd.DataFrame(found, columns=columns)


def _choices(family: str, rows: pd.DataFrame, targets: Sequence[str]) -> list[dict]:
    found = []
    for held_out in targets:
        method, others = _least(rows[rows["target"] != held_out])
        there = rows[(rows["target"] == held_out) & (rows["method"] == method)].iloc[0]
        row = {"family": family, "held_out": held_out, "method": method, "regret_others": others}
        found.append(row | {key: there[key] for key in STATISTICS})
    means = {"family": family, "held_out": "mean", "method": ""}
    for key in ("regret_others", *STATISTICS):
        values = np.array([row[key] for row in found])
        means |= with_t_interval(key, values) if key in STATISTICS else {key: values.mean()}
    means["regret_worst"] = max(row["regret"] for row in found)
    method, regret = _least(rows)
    last = {"family": family, "held_out": "none", "method": method, "regret_others": regret}
    return [*found, means, last]


def _least(rows: pd.DataFrame) -> tuple[str, float]:
    """Return the method with the least mean regret on the targets of the rows, and that regret."""
    means = rows.groupby("method")[["regret", "weighted_tau"]].mean()
    sizes = rows.groupby("method")["measures"].first().str.count(" ")
    # Rounded: the order of a sum must not decide between equal methods.
    keys = means["regret"].round(12), -means["weighted_tau"].round(12), sizes.loc[means.index]
    best = means.index[np.lexsort([means.index, keys[2], keys[1], keys[0]])[0]]
    return str(best), float(means.loc[best, "regret"])
