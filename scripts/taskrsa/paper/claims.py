"""The paper's claims C1 to C12 judged by what a run found.

Statements, published values and rules are data (`taskrsa.paper.published`). Here is, for each
number of a claim, where a run's tables hold ours, and how a rule turns it into one of the verdicts
`HOLDS`, `FAILS` and `OPEN`. A verdict is about the networks and images of the run: whether the
claim carries over to them, not whether the paper's own number was reproduced. What a run lacks
makes a claim not comparable, never an error; and so do networks that have learnt nothing, of which
no verdict says that a claim fails.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pandas as pd

from taskrsa.analysis.outcomes import LITTLE, OURS, SMALL, has_learnt
from taskrsa.analysis.separation import adjusted_rand_index
from taskrsa.analysis.tables import similarity_square
from taskrsa.errors import DataError
from taskrsa.io.costs import Job
from taskrsa.paper.published import CLAIMS, FIGURE8, MIOU, TABLE2, Claim, Rule
from taskrsa.rsa.clustering import LINKAGES, cut
from taskrsa.tasks.dictionary import TASKS
from taskrsa.text import estimate, p_value

HOLDS, FAILS, OPEN = "holds", "does not", "not comparable"
NOTHING = "nothing was learnt"  # begins the note of a claim that is not comparable for that
COLUMNS = (
    *("claim", "statement", "published", "ours", "ci_low", "ci_high", "verdict", "note"),
    *("rule", "source", "untested"),
)
COST = "C12"  # the last claim, the only one that is judged by timings
BELOW_SCRATCH = ("autoencoder", "vanishing_point")  # in Table 2 below random initialisation

_ALPHA = 0.05
_AUTHORS_CLUSTERS = 5  # that the authors cut their tree into (Fig. 4b); average linkage: the types
_ROUNDING = 0.005  # of a published correlation, which has two decimals
_BOTH = ("quality", "small_quality")  # what the bank's networks and small models have learnt
_DEPTH = (*(f"block{n}" for n in range(1, 5)), "compressed")

# Why a run may lack a table; the note of the claims that need it.
_NO_LABELS = "the stimuli have no labels"
_NO_AFFINITIES = "the run has no transfer affinities"
_NO_TARGET = "the run does not have the paper's target"
_NOT_FINETUNED = "no network was fine-tuned on the paper's target"
LACKING = {
    "label_agreement": _NO_LABELS,
    **dict.fromkeys(("taxonomy_agreement", "selection", "table1"), _NO_AFFINITIES),
    "ranking": _NO_TARGET,
    **dict.fromkeys(("scores", "choice", "prediction"), _NOT_FINETUNED),
}


class NotComparable(Exception):
    """A run cannot say anything about a claim; the message is the reason."""


@dataclass(frozen=True)
class Found:
    """What a run found: a value, its 95 % interval and one-sided p (None where it has none).

    `chance` is the value to expect by chance. `note` says in a few words what the number is of.
    `ways` are the same number by every way to find it that the paper leaves open, where there are
    several; the interval is then that of all of them together. `learnt` is the same number of the
    tasks alone that networks have learnt something of; None where that is all.
    """

    value: float
    low: float | None = None
    high: float | None = None
    p: float | None = None
    note: str = ""
    chance: float = 0.0
    ways: Sequence[Found] = field(default=(), repr=False)
    learnt: Found | None = None


@dataclass(frozen=True)
class Run:
    """The tables of a run by name, the timings of its jobs, and what the claims need of its config.

    The tables `ranking`, `scores`, `prediction` and `choice` are those of the paper's target;
    `quality` and `small_quality` say what bank and small models have learnt, if trained here.
    """

    tables: Mapping[str, pd.DataFrame]
    jobs: Sequence[Job] | None = ()  # None leaves open what depends on timings, which vary
    same_task: str = "segmentsemantic"  # the bank's network of the target's own task
    bank: str = "trained"  # or "taskonomy"
    gpu: bool = False  # jobs had one: their wall time is compared, for their CPU time says little
    target: str = ""  # the paper's target, for the timings of its jobs; "" for all targets

    def table(self, name: str) -> pd.DataFrame:
        """Return a table; NotComparable, with the reason, where the run has none or no rows."""
        found = self.tables.get(name)
        if found is None or found.empty:
            raise NotComparable(LACKING.get(name, f"the run has no table {name}"))
        return found

    def row(self, name: str, **where: object) -> dict:
        """Return the one row of a table with these values; NotComparable where there is none.

        Raises
        ------
        DataError
            If the table lacks a column or several rows fit.
        """
        table = self.table(name)
        for column, value in where.items():
            if column not in table:
                raise DataError(f"{name}.csv has no column {column}; make it again")
            table = table[table[column] == value]
        if table.empty:
            wanted = ", ".join(map(str, where.values()))
            raise NotComparable(f"{name}.csv has no row for {wanted}")
        if len(table) > 1:
            raise DataError(f"{name}.csv has {len(table)} rows for {where}; make it again")
        return table.iloc[0].to_dict()


# --- verdicts ---


def _above_chance(found: Found) -> bool:
    low = found.value if found.low is None else found.low
    return low > found.chance and (found.p is None or found.p < _ALPHA)


def _reaches(rule: Rule, published: float, found: Found) -> tuple[str, str]:
    high = found.value if found.high is None else found.high
    # Slightly more than the threshold, for shares that differ by exactly that.
    near = high >= published or found.value >= published - rule.threshold - 1e-9
    if not _above_chance(found):
        if near:
            return OPEN, "the published value and chance are both possible"
        return FAILS, "below the published value and no better than chance"
    return (HOLDS, "") if near else (FAILS, "weaker than published, yet above chance")


def _over_ways(rule: Rule, published: float, found: Found) -> tuple[str, str]:
    """Judge a number that there are several ways to find, of which the paper does not name its own.

    The published value may come from any of them. Where their range, with their intervals, does not
    reach it, it still holds or fails if it does so by every way.
    """
    by_way = [_reaches(rule, published, way) for way in found.ways]
    inside = found.low - _ROUNDING <= published <= found.high + _ROUNDING
    if inside and all(map(_above_chance, found.ways)):
        return HOLDS, ""
    if len({verdict for verdict, _ in by_way}) > 1:
        return OPEN, "the way to turn affinities into similarities decides"
    return by_way[0]


def _significant(rule: Rule, published: float | None, found: Found) -> tuple[str, str]:
    above = found.value > found.chance and found.p < rule.threshold
    return (HOLDS if above else FAILS), f"p {p_value(found.p)}"


def _not_significant(rule: Rule, published: float | None, found: Found) -> tuple[str, str]:
    verdict, why = _significant(rule, published, found)
    return (FAILS if verdict == HOLDS else HOLDS), why


def _positive(rule: Rule, published: float | None, found: Found) -> tuple[str, str]:
    low = found.value if found.low is None else found.low
    if low > 0:
        return HOLDS, ""
    return FAILS, "not above 0" if found.value <= 0 else "the interval reaches 0"


def _at_least(rule: Rule, published: float | None, found: Found) -> tuple[str, str]:
    return (HOLDS if found.value >= rule.threshold else FAILS), ""


def _at_most(rule: Rule, published: float | None, found: Found) -> tuple[str, str]:
    return (HOLDS if found.value <= rule.threshold else FAILS), ""


def _not_first(rule: Rule, published: float | None, found: Found) -> tuple[str, str]:
    if found.value <= 1:
        return FAILS, "it ranks first"
    if found.low is not None and found.low <= 1:
        return OPEN, "the 95 % interval includes the first place"
    return HOLDS, ""


JUDGES: dict[str, Callable[[Rule, float | None, Found], tuple[str, str]]] = {
    "reaches": _reaches,
    "over_ways": _over_ways,
    "significant": _significant,
    "not_significant": _not_significant,
    "positive": _positive,
    "at_least": _at_least,
    "at_most": _at_most,
    "not_first": _not_first,
}


def verdict_of(claim: Claim, found: Found) -> tuple[str, str]:
    """Return the verdict on what a run found for a claim, and in a few words why.

    A claim fails only if it also does without the tasks that networks have learnt nothing of.
    """
    rule = claim.rules[0]
    verdict, why = JUDGES[rule.judge](rule, published_value(claim), found)
    if verdict != FAILS or found.learnt is None:
        return verdict, why
    learnt = found.learnt
    without = f"{estimate(learnt.value, learnt.low, learnt.high)} without tasks not learnt"
    if verdict_of(claim, learnt)[0] == FAILS:
        return FAILS, f"{why}; {without}"
    return OPEN, f"{NOTHING} of some tasks, which decides: {without}"


# --- published values that follow from the table of Pascal VOC ---


def superiority(above: Iterable[float], below: Iterable[float]) -> float:
    """Return the share of pairs in which a value of `above` is the larger; ties count half."""
    above, below = np.asarray(list(above), float), np.asarray(list(below), float)
    difference = above[:, None] - below[None]
    return float((np.sign(difference).mean() + 1) / 2)


def _published_order_by_type() -> float:
    place = {name: -at for at, name in enumerate(FIGURE8)}
    high = [place[name] for name in place if TASKS[name].type in ("3D", "semantic")]
    return superiority(high, [place[name] for name in place if TASKS[name].type == "2D"])


def _published_prediction(order: Sequence[str]) -> float:
    """Return Spearman's correlation of an order, most similar first, with the published mIoU."""
    miou = pd.Series([MIOU[name] for name in order if name in MIOU])
    return float(miou.rank().corr(pd.Series(range(len(miou), 0, -1))))


def _published_gain(over: Iterable[str]) -> float:
    """Return by how much the first choice of Figure 8 beats the mean of others, in mIoU."""
    return MIOU[FIGURE8[0]] - float(np.mean([MIOU[name] for name in over]))


FROM_VOC2012: dict[tuple[str, str], Callable[[], float]] = {
    ("C9", "types"): _published_order_by_type,
    ("C9", "same_task"): lambda: float(FIGURE8.index("segmentsemantic") + 1),
    ("C10", "prediction"): lambda: _published_prediction(FIGURE8),
    ("C10", "gain_mean"): lambda: _published_gain(name for name in MIOU if name in TASKS),
    ("C10", "gain_random"): lambda: _published_gain(["random"]),
    ("C10", "below_scratch"): lambda: (
        MIOU["random"] - sum(MIOU[name] for name in BELOW_SCRATCH) / 2
    ),
}


def published_value(claim: Claim) -> float | None:
    """Return the published value of a claim; None where the paper has a figure or words only."""
    return FROM_VOC2012[claim.id, claim.key]() if claim.from_voc2012 else claim.published


# --- where the tables hold each value ---


def _estimate(row: Mapping, statistic: str, **more: object) -> Found:
    """Return a correlation with its interval, as the tables of this workflow hold them."""
    value, low, high = (row.get(f"{statistic}{end}") for end in ("", "_low", "_high"))
    if value is None or math.isnan(value):
        raise NotComparable("too few networks to correlate")
    known = not (low is None or math.isnan(low) or math.isnan(high))
    p = row.get(f"{statistic}_p", math.nan)
    return Found(
        float(value),
        *((float(low), float(high)) if known else (None, None)),
        p=None if math.isnan(p) else float(p),
        **more,
    )


def _separation(run: Run, layer: str) -> Found:
    if layer == "labels" and "labels" not in set(run.table("type_separation")["layer"]):
        raise NotComparable(_NO_LABELS)
    row = run.row("type_separation", layer=layer, control="none")
    note = f"within a type {row['within']:.2f}, between types {row['between']:.2f}"
    return Found(float(row["difference"]), p=float(row["p"]), note=note)


def _clusters(run: Run) -> Found:
    """Agreement of the types with the clusters of the authors' tree at the output, cut as there.

    In the paper's tree vanishing point and 2D keypoints come out alone.
    """
    table = run.table("similarity")
    if "compressed" not in set(table["layer"]):
        raise NotComparable("the run has no similarities at the compressed output")
    matrix = similarity_square(table, "compressed")
    names = [name for name in matrix.index if name in TASKS]
    if len(names) < _AUTHORS_CLUSTERS:
        raise NotComparable(f"{len(names)} networks of tasks, which five clusters cannot hold")
    values = matrix.loc[names, names].to_numpy()
    types = [TASKS[name].type for name in names]
    clusters = pd.Series(cut(LINKAGES["paper"](values), _AUTHORS_CLUSTERS), index=names)
    alone = clusters[~clusters.duplicated(keep=False)].index
    n_types = len(set(types))
    average = adjusted_rand_index(types, cut(LINKAGES["average"](values), n_types))
    note = f"alone: {', '.join(map(_label, alone)) or 'none'} (in the paper vanishing point and "
    note += f"2D keypoints); average linkage, cut into {n_types}: {average:.2f}"
    return Found(adjusted_rand_index(types, clusters), note=note)


def _alike_at_block1(run: Run) -> Found:
    row = run.row("type_separation", layer="block1", control="none")
    note = "mean of pairs of different types"
    if not math.isnan(row["random_mean"]):
        note += f"; random-weight networks {row['random_mean']:.2f}"
    return Found(float(row["between"]), note=note)


def _fall(run: Run) -> Found:
    """Smallest fall of the mean similarity from one layer to the next."""
    means = run.table("similarity").groupby("layer")["rs"].mean()
    depth = [name for name in _DEPTH if name in means]
    if len(depth) < 2:
        raise NotComparable("the run does not compare two layers of the paper's encoders")
    values = means[depth].to_numpy()
    note = "smallest step; means " + ", ".join(f"{value:.2f}" for value in values)
    return Found(float(-np.diff(values).max()), note=note)


def _growth(run: Run) -> Found:
    first, last = (
        run.row("type_separation", layer=layer, control="none")["difference"]
        for layer in ("block1", "compressed")
    )
    note = f"within minus between types: {first:.2f} at block 1, {last:.2f} at the output"
    return Found(float(last - first), note=note)


def _low_labels(run: Run) -> Found:
    table = run.table("similarity")
    labels = table[table["layer"] == "labels"]["rs"]
    if labels.empty:
        raise NotComparable(_NO_LABELS)
    follow = run.row("label_agreement", layer="compressed")["spearman"]
    note = f"median of pairs; over pairs, networks follow the labels with Spearman {follow:.2f}"
    return Found(float(labels.median()), note=note)


def _tree(run: Run, statistic: str) -> Found:
    table = run.table("taxonomy_agreement")
    kinds = set(table.loc[table["similarity"] == "ours", "affinities"])
    kind = "measured" if "measured" in kinds else "published"
    row = run.row("taxonomy_agreement", similarity="ours", affinities=kind)
    # A row for each way to make similarities of affinities, the default first.
    mine = table[(table["affinities"] == kind) & table["similarity"].str.startswith("ours")]
    ways = [_estimate(way, statistic) for way in mine.to_dict("records")]
    default = _estimate(row, statistic)
    values = [way.value for way in ways]
    ends = [end for way in ways for end in (way.value, way.low, way.high) if end is not None]
    shown = estimate(default.value, default.low, default.high)
    note = f"{row['n_tasks']:.0f} tasks; {min(values):.2f} to {max(values):.2f} over {len(ways)} "
    note += f"ways, with intervals {min(ends):.2f} to {max(ends):.2f}; by {row['normalisation']} "
    note += f"{shown}; affinities " + _whose(run, kind)
    if kind == "measured" and "published" in kinds:
        other = run.row("taxonomy_agreement", similarity="ours", affinities="published")
        note += f"; with Taskonomy's, of another bank, {other[statistic]:.2f}"
    return Found(default.value, min(ends), max(ends), default.p, note, ways=ways)


def _whose(run: Run, kind: str) -> str:
    if kind == "measured":
        return "measured here by probes"
    return "of Taskonomy" + (", which belong to another bank" if run.bank != "taskonomy" else "")


def _small(run: Run, statistic: str) -> Found:
    row = run.row("small_vs_bank", task="mean", own_task="left out")
    note = f"mean of {row['n_tasks']:.0f} tasks, the task's own network left out"
    table = run.table("small_vs_bank")
    rows = table[(table["own_task"] == "left out") & table["task"].isin(TASKS)]
    return _estimate(row, statistic, note=note, learnt=_over_learnt(run, rows, statistic))


def _lowest_small(run: Run, key: str, kind: str, without: Sequence[str] = ()) -> Found:
    published = next(c.published for c in CLAIMS if (c.id, c.key) == ("C5", key))
    table = run.table("small_vs_bank")
    tasks = [name for name, task in TASKS.items() if task.type == kind and name not in without]
    table = table[(table["own_task"] == "left out") & table["task"].isin(tasks)]
    table = table.dropna(subset=["pearson"])
    if table.empty:
        raise NotComparable(f"no small model of a {kind} task")
    table, left_out = _of_learnt(run, table, _BOTH)
    row = table.loc[table["pearson"].idxmin()]
    reached = (table["pearson"] >= published).sum()
    note = f"lowest of {len(table)}: {_label(row['task'])}; "
    note += f"{reached} of {len(table)} reach {published}{left_out}"
    return _estimate(row, "pearson", note=note)


def _over_learnt(
    run: Run, rows: pd.DataFrame, statistic: str, names: Sequence[str] = _BOTH
) -> Found | None:
    """Return the mean over the rows of tasks that networks have learnt; None where these are all.

    Its interval is the mean of theirs, which is no narrower than that of the mean.
    """
    if rows.empty:
        return None
    kept, left_out = _of_learnt(run, rows, names)
    columns = [statistic, f"{statistic}_low", f"{statistic}_high"]
    return _estimate(kept[columns].mean(), statistic) if left_out else None


def _of_learnt(run: Run, table: pd.DataFrame, names: Sequence[str]) -> tuple[pd.DataFrame, str]:
    """Return the rows of tasks that the networks of these tables have all learnt, and a note on the
    others."""
    removed = pd.concat([_error_removed(run, name) for name in names])
    lacking = {task: value for task, value in removed.items() if value <= LITTLE}
    left_out = {task: lacking[task] for task in table["task"] if task in lacking}
    kept = table[~table["task"].isin(left_out)]
    words = ", ".join(f"{_label(task)} ({value:.3f})" for task, value in left_out.items())
    if kept.empty:
        raise NotComparable(f"{NOTHING}: share of the error removed, {words}")
    return kept, f"; left out, for next to nothing was learnt: {words}" if left_out else ""


def _small_matrix(run: Run, statistic: str) -> Found:
    row = run.row("small_agreement", seeds="mean")
    return _estimate(row, statistic, note=f"{row['n_tasks']:.0f} tasks, mean of the seeds")


def _transfer(run: Run, statistic: str) -> Found:
    truth = _truth(run, "selection")
    row = run.row("selection", method="rsa", target="mean", affinities=truth)
    measured = row["affinities"] == "measured"
    kind = "measured here by probes" if measured else "of Taskonomy"
    note = f"mean of {row['n_targets']:.0f} targets; affinities {kind}"
    table = run.table("selection")
    table = table[(table["method"] == "rsa") & (table["affinities"] == truth)]
    rows = table[table["target"].isin(TASKS)]
    rows = rows.rename(columns={"target": "task"})
    return _estimate(
        row, statistic, note=note, learnt=_over_learnt(run, rows, statistic, ("quality",))
    )


def _truth(run: Run, name: str) -> str:
    """Return the affinities that belong to the bank, which stand before win rates."""
    return run.table(name)["affinities"].iloc[0]


def _top(run: Run, n: int) -> Found:
    key = f"top{n}"
    claim = next(claim for claim in CLAIMS if (claim.id, claim.key) == ("C8", key))
    truth = {"affinities": _truth(run, "table1")}
    row, chance = (run.row("table1", method=method, **truth) for method in ("rsa", "random"))
    found = _estimate(row, key)
    note = (
        f"{found.value:.0f} of {row['n']:.0f}; published {claim.published * claim.n:.0f} of "
        f"{claim.n}; a random order {chance[key]:.1f}"
    )
    share = [None if x is None else x / row["n"] for x in (found.value, found.low, found.high)]
    return Found(*share, note=note, chance=float(chance[key] / row["n"]))


def _order_by_type(run: Run) -> Found:
    from scipy.stats import mannwhitneyu  # takes longer to import than the rest of this module

    table = run.table("ranking")
    low = table[table["type"] == "2D"]["rs"]
    high = table[table["type"].isin(["3D", "semantic"])]["rs"]
    if low.empty or high.empty:
        raise NotComparable("the bank does not hold networks of both kinds")
    p = mannwhitneyu(high, low, alternative="greater").pvalue
    means = table.groupby("type")["rs"].mean()
    note = "mean similarity " + ", ".join(
        f"{kind} {means[kind]:.2f}" for kind in ("semantic", "3D", "2D") if kind in means
    )
    return Found(superiority(high, low), p=float(p), note=note, chance=0.5)


def _same_task_rank(run: Run) -> Found:
    row = run.row("ranking", model=run.same_task)
    _require_learnt(run, [run.same_task])
    table = run.table("ranking")
    note = f"rank of {row['label']} among {len(table)}"
    if row["rank"] > 1:
        note += f"; first is {table.sort_values('rank', kind='stable').iloc[0]['label']}"
    return Found(float(row["rank"]), float(row["rank_low"]), float(row["rank_high"]), note=note)


def _prediction(run: Run) -> Found:
    row = run.row("prediction", ranking=OURS)
    note = (
        f"{row['n_models']:.0f} networks, p of a permutation {p_value(row['spearman_p'])}; "
        f"published on the six tasks of Table 2: {_published_prediction(TABLE2):.2f}"
    )
    if not math.isnan(row["seeds_agree"]):
        note += f"; seeds of fine-tuning agree by {row['seeds_agree']:.2f}"
    return _estimate(row, "spearman", note=note)


def _gain(run: Run, statistic: str) -> Found:
    row = run.row("choice", statistic=statistic)
    if math.isnan(row["value"]):
        raise NotComparable("the ranking has no first choice")
    choice = run.row("choice", statistic="choice")
    low, high = (None if math.isnan(x) else float(x) for x in (row["low"], row["high"]))
    note = f"choice {_label(choice['model'])}, mIoU {choice['value']:.3f}"
    return Found(float(row["value"]), low, high, note=note)


def _below_scratch(run: Run) -> Found:
    """Random initialisation less the mean of the two networks that the paper found below it."""
    random = run.row("scores", model="random")["score"]
    pair = [run.row("scores", model=name)["score"] for name in BELOW_SCRATCH]
    _require_learnt(run, BELOW_SCRATCH)
    note = f"random {random:.3f}, {' and '.join(f'{x:.3f}' for x in pair)}; no interval"
    return Found(float(random - np.mean(pair)), note=note)


def _draws(table: pd.DataFrame) -> tuple[float, float | None, float | None]:
    values = table["spearman"].dropna()
    if values.empty:
        raise NotComparable("too few networks to correlate")
    if len(values) == 1:
        return float(values.iloc[0]), None, None
    return float(values.mean()), *map(float, values.quantile([0.025, 0.975]))


def _robust_images(run: Run) -> Found:
    table = run.table("robustness_images")
    table = table[(table["task"] == "mean") & (table["reference"] == "disjoint images")]
    if table.empty:
        raise NotComparable("too few stimuli for two disjoint sets")
    most = pd.to_numeric(table["value"]).max()
    value, low, high = _draws(table[pd.to_numeric(table["value"]) == most])
    return Found(value, low, high, note=f"two sets of {most:.0f} different images; over draws")


def _robust_models(run: Run, factor: str) -> Found:
    """Lowest correlation with the default small model: other widths, half of the training."""
    table = run.table(f"robustness_{factor}")
    table = table[(table["task"] == "mean") & (table["reference"] == "default small model")]
    table = table.assign(number=pd.to_numeric(table["value"])).dropna(subset=["spearman"])
    if factor == "stage":
        table = table[(table["number"] >= 50) & (table["number"] < 100)]
    else:
        # The default itself correlates perfectly with itself.
        table = table[table["spearman"] < 1 - 1e-9]
    if table.empty:
        raise NotComparable(f"the run varies no {factor} of the small models")
    row = table.loc[table["spearman"].idxmin()]
    stage, width = "after {:.0f} % of the steps", "{:.0f} channels"
    what = (stage if factor == "stage" else width).format(row["number"])
    return Found(float(row["spearman"]), note=f"{what}, the lowest; mean over tasks")


def _seconds(run: Run, kinds: Sequence[str], lacking: str) -> list[float]:
    """Return the seconds of all timed jobs of some kinds: of the CPU, or on a GPU of the wall.

    A job's name is its kind, or begins with it and an underscore.
    """
    if run.jobs is None:
        raise NotComparable("timings differ from run to run; the report has this one's")
    times = [
        job.wall_s if run.gpu else job.cpu_s
        for job in run.jobs
        if f"{job.name}_".startswith(tuple(f"{kind}_" for kind in kinds))
    ]
    times = [time for time in times if time]
    if not times:
        raise NotComparable(lacking)
    return times


def _of_target(run: Run, kind: str) -> str:
    return f"{kind}_{run.target}" if run.target else kind


def _finetuning(run: Run) -> float:
    times = _seconds(run, [_of_target(run, "finetune")], "no fine-tuning was timed")
    return float(np.median(times))


def _rdms(run: Run, *more: str) -> list[float]:
    return _seconds(run, ["rdms_bank", *more], "no RDMs were timed")


def _cost_per_network(run: Run) -> Found:
    fine, rdm = _finetuning(run), np.median(_rdms(run))
    note = f"{_clock(run)} {fine:.1f} against {rdm:.1f}, medians of jobs"
    return Found(float(fine / rdm), note=note)


def _cost_of_choice(run: Run) -> Found:
    fine, n = _finetuning(run), len(_rdms(run))
    rdms = sum(_rdms(run, _of_target(run, "rdms_target")))
    models = _seconds(run, [_of_target(run, "train_target")], "no small model was timed")
    small = np.median(models)
    note = (
        f"{_clock(run)} {fine * n:.0f} for {n} networks once, against "
        f"{rdms:.0f} for RDMs and {small:.0f} for a small model"
    )
    return Found(float(fine * n / (rdms + small)), note=note)


def _clock(run: Run) -> str:
    return "seconds on a GPU" if run.gpu else "CPU-seconds"


def _label(name: str) -> str:
    return TASKS[name].label if name in TASKS else name


FINDERS: dict[tuple[str, str], Callable[[Run], Found]] = {
    ("C1", "separation"): partial(_separation, layer="compressed"),
    ("C1", "clusters"): _clusters,
    ("C2", "block1"): _alike_at_block1,
    ("C2", "fall"): _fall,
    ("C2", "growth"): _growth,
    ("C3", "labels"): partial(_separation, layer="labels"),
    ("C3", "low"): _low_labels,
    ("C5", "lowest_2d"): partial(_lowest_small, key="lowest_2d", kind="2D", without=["segment2d"]),
    ("C5", "lowest_3d"): partial(_lowest_small, key="lowest_3d", kind="3D"),
    **{
        (claim, statistic): partial(find, statistic=statistic)
        for claim, find in (("C4", _tree), ("C5", _small), ("C6", _small_matrix), ("C7", _transfer))
        for statistic in ("pearson", "spearman")
    },
    **{("C8", f"top{n}"): partial(_top, n=n) for n in (1, 3, 5)},
    ("C9", "types"): _order_by_type,
    ("C9", "same_task"): _same_task_rank,
    ("C10", "prediction"): _prediction,
    ("C10", "gain_mean"): partial(_gain, statistic="gain_over_mean"),
    ("C10", "gain_random"): partial(_gain, statistic="gain_over_random"),
    ("C10", "below_scratch"): _below_scratch,
    ("C11", "images"): _robust_images,
    ("C11", "width"): partial(_robust_models, factor="width"),
    ("C11", "stage"): partial(_robust_models, factor="stage"),
    (COST, "network"): _cost_per_network,
    (COST, "choice"): _cost_of_choice,
}


# --- what must have been learnt ---


def _error_removed(run: Run, name: str) -> pd.Series:
    """Return the share of the error of the best constant answer that training removed, by task.

    The mean over seeds; empty where the run trains no such networks.
    """
    table = run.tables.get(name)
    if table is None or table.empty:
        return pd.Series(dtype=float)
    return table.groupby("task", sort=False)["error_removed"].mean()


def _require_learnt(run: Run, tasks: Sequence[str]) -> None:
    """Raise NotComparable where a network of the bank has learnt nothing of its task."""
    removed = _error_removed(run, "quality")
    for task in tasks:
        if removed.get(task, math.inf) <= LITTLE:
            raise NotComparable(
                f"{NOTHING}: the bank's network of {_label(task)} removed {removed[task]:.3f} of "
                "the error of the best constant answer"
            )


def _most_learnt(run: Run, name: str, what: str) -> str:
    """Require that most networks have learnt something; return a note on the others."""
    removed = _error_removed(run, name)
    lacking = int((removed <= LITTLE).sum())
    said = f"{lacking} of {len(removed)} {what} learnt next to nothing"
    if lacking and 2 * lacking >= len(removed):
        raise NotComparable(
            f"{NOTHING}: {said}; the median removed {removed.median():.3f} of the error of the "
            "best constant answer"
        )
    return said if lacking else ""


def _scores_learnt(run: Run, what: str, small: bool) -> str:
    """Require that the best of the small model's scores, or of the others, is above chance.

    A run without such scores has nothing to show.
    """
    table = run.tables.get("scores", pd.DataFrame())
    rows = table if table.empty else table[(table["model"] == SMALL) == small]
    if rows.empty:
        return ""
    if "chance_score" not in rows:
        raise NotComparable("scores.csv has no column chance_score; make it again")
    best = rows.loc[rows["score"].idxmax()]
    if not has_learnt(best["score"], best["chance_score"], best.get("score_sd", math.nan)):
        raise NotComparable(
            f"{NOTHING}: {what} reached {best['score']:.3f}, chance is {best['chance_score']:.3f}"
        )
    return ""


# By the name of a rule: what is checked before a number is judged, which returns a note.
CONDITIONS: dict[str, Callable[[Run], str]] = {
    "bank": partial(_most_learnt, name="quality", what="networks of the bank"),
    "small": partial(_most_learnt, name="small_quality", what="small models"),
    "target": partial(_scores_learnt, what="the target's small model", small=True),
    "tuned": partial(_scores_learnt, what="the best fine-tuned network", small=False),
}


# --- the table ---


def judge(claim: Claim, run: Run) -> dict[str, object]:
    """Return one row of the table of claims, with the columns `COLUMNS`.

    A number of networks that have learnt nothing is shown, and not compared.
    """
    row = dict.fromkeys(COLUMNS) | {
        "claim": claim.id,
        "statement": claim.statement,
        "published": published_value(claim),
        "rule": "; ".join(rule.words for rule in claim.rules),
        "source": claim.source,
        "untested": claim.untested,
    }
    try:
        # A table that the run lacks is the reason before what its networks have not learnt.
        found = FINDERS[claim.id, claim.key](run)
        if math.isnan(found.value):
            raise NotComparable("undefined in this run")
        if found.p is not None and math.isnan(found.p):
            raise NotComparable("the table has no p value")
        row |= {"ours": found.value, "ci_low": found.low, "ci_high": found.high}
        notes = [CONDITIONS[rule.name](run) for rule in claim.rules[1:]]
    except NotComparable as reason:
        return row | {"verdict": OPEN, "note": str(reason)}
    verdict, why = verdict_of(claim, found)
    # What some networks lack speaks against a failure, not for what holds all the same.
    notes = notes if verdict == FAILS else []
    note = "; ".join(part for part in (why, found.note, *notes) if part)
    return row | {"verdict": verdict, "note": note}


def judge_all(run: Run, claims: Sequence[Claim] = CLAIMS) -> list[dict[str, object]]:
    """Return the table of claims: one row for every number, in the paper's order."""
    return [judge(claim, run) for claim in claims]


def with_timings(
    rows: Iterable[Mapping[str, object]], jobs: Sequence[Job], gpu: bool, target: str = ""
) -> list[Mapping[str, object]]:
    """Return rows of `judge_all`, those about cost judged by the timings of a run's jobs."""
    about_cost = [claim for claim in CLAIMS if claim.id == COST]
    timed = judge_all(Run({}, jobs, gpu=gpu, target=target), about_cost)
    return [row for row in rows if row["claim"] != COST] + timed
