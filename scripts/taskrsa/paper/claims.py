"""The paper's claims C1 to C12: what it says, by which rule each is judged, what a run found.

`CLAIMS` is the one table of statements, published values and rules; page or figure of Dwivedi &
Roig (CVPR 2019) stand in `source`. A verdict is one of `HOLDS`, `FAILS` and `OPEN`. It is about the
networks and images of the run at hand: whether the claim carries over to them, not whether the
paper's own number was reproduced. Values come only from the tables of a run and the timings of its
jobs; what a run lacks makes a claim not comparable, never an error.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from taskrsa.analysis.outcomes import OURS, PUBLISHED_MIOU, PUBLISHED_ORDER, PUBLISHED_TABLE2
from taskrsa.errors import DataError
from taskrsa.io.costs import Job
from taskrsa.tasks.dictionary import TASKS

HOLDS, FAILS, OPEN = "holds", "does not", "not comparable"
COLUMNS = (
    *("claim", "statement", "published", "ours", "ci_low", "ci_high", "verdict", "note"),
    *("rule", "source"),
)

ALPHA = 0.05
TOLERANCE = 0.1  # how far below a published correlation still counts as the same
TOLERANCE_COUNT = 2 / 17  # how far below a published share of Table 1, likewise
ALIKE = 0.7  # "very high" similarity at block 1, of which the paper gives no number
LOW = 0.3  # "low" similarity of labels, likewise
CLUSTERED = 0.5  # adjusted Rand index from which a cut tree counts as the task types
ROBUST = 0.8  # correlation from which two rankings count as the same
FLOOR = 2.0  # classes that the best fine-tuned network must have found (`classes_found`) ...
SEEDS_AGREE = 0.5  # ... unless the mIoU of its seeds correlate at least so

# Why a run may lack a table; said in the note of the claims that need it.
LACKING = {
    "label_agreement": "the stimuli have no labels",
    "taxonomy_agreement": "the run has no transfer affinities",
    "selection": "the run has no transfer affinities",
    "table1": "the run has no transfer affinities",
    "figure8": "the run has no new task",
    "table2": "the run has no new task",
    "table2_choice": "the run has no new task",
    "table2_prediction": "the run has no new task",
}


class NotComparable(Exception):
    """A run cannot say anything about a claim; the message is the reason."""


@dataclass(frozen=True)
class Found:
    """What a run found: a value, its 95 % interval and one-sided p (None where it has none).

    `chance` is the value to expect by chance. `note` says in a few words what the number is of.
    """

    value: float
    low: float | None = None
    high: float | None = None
    p: float | None = None
    note: str = ""
    chance: float = 0.0


@dataclass(frozen=True)
class Rule:
    """How a value becomes a verdict; `words` are printed beside it."""

    words: str
    judge: Callable[[float | None, Found], tuple[str, str]]  # (published, found): verdict, why


@dataclass(frozen=True)
class Claim:
    """One number of a claim: what the paper says and where, and how ours is found and judged."""

    id: str
    key: str  # unique within the claim
    statement: str
    source: str
    published: float | None  # None where the paper has a figure or words only
    rule: Rule
    find: Callable[[Run], Found]


class Run:
    """The tables of a run by name, the timings of its jobs, and what the claims need of its config.

    `own` is the bank's task that is the new task's own kind; `bank` is "trained" or "taskonomy".
    Jobs on a GPU are compared by wall time, for their CPU time says little. `jobs` None leaves
    timings out, which differ from run to run: the claims about cost then stay open.
    """

    def __init__(
        self,
        tables: Mapping[str, pd.DataFrame],
        jobs: Sequence[Job] | None = (),
        own: str = "segmentsemantic",
        bank: str = "trained",
        gpu: bool = False,
    ):
        self.tables, self.own = dict(tables), own
        self.jobs = None if jobs is None else tuple(jobs)
        self.bank, self.gpu = bank, gpu

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


# --- rules ---


def _reaches(tolerance: float) -> Callable[[float, Found], tuple[str, str]]:
    def judge(published: float, found: Found) -> tuple[str, str]:
        low = found.value if found.low is None else found.low
        high = found.value if found.high is None else found.high
        # A hair's breadth more, for shares that differ by exactly the tolerance.
        near = high >= published or found.value >= published - tolerance - 1e-9
        if low <= found.chance or (found.p is not None and found.p >= ALPHA):
            if near:
                return OPEN, "the published value and chance are both possible"
            return FAILS, "below the published value and no better than chance"
        return (HOLDS, "") if near else (FAILS, "weaker than published, yet above chance")

    return judge


def _significant(published: float | None, found: Found) -> tuple[str, str]:
    why = f"p {_p(found.p)}"
    return (HOLDS if found.value > found.chance and found.p < ALPHA else FAILS), why


def _not_significant(published: float | None, found: Found) -> tuple[str, str]:
    apart = found.value > 0 and found.p < ALPHA
    return (FAILS if apart else HOLDS), f"p {_p(found.p)}"


def _positive(published: float | None, found: Found) -> tuple[str, str]:
    low = found.value if found.low is None else found.low
    if low > 0:
        return HOLDS, ""
    return FAILS, "not above 0" if found.value <= 0 else "the interval reaches 0"


def _at_least(threshold: float) -> Callable[[float | None, Found], tuple[str, str]]:
    return lambda published, found: (HOLDS if found.value >= threshold else FAILS, "")


def _at_most(threshold: float) -> Callable[[float | None, Found], tuple[str, str]]:
    return lambda published, found: (HOLDS if found.value <= threshold else FAILS, "")


def _not_first(published: float | None, found: Found) -> tuple[str, str]:
    if found.value <= 1:
        return FAILS, "it is the first"
    if found.low is not None and found.low <= 1:
        return OPEN, "not told from the first at 95 %"
    return HOLDS, ""


REACHES = Rule(
    f"holds if the interval reaches the published value or ours is at most {TOLERANCE} below it, "
    f"and it is told from 0 (interval, and p < {ALPHA} where there is one)",
    _reaches(TOLERANCE),
)
REACHES_COUNT = Rule(
    "holds if the interval reaches the published share or ours is at most two targets in 17 below "
    "it, and the interval excludes a random order",
    _reaches(TOLERANCE_COUNT),
)
SIGNIFICANT = Rule(f"holds if above chance with p < {ALPHA}", _significant)
NOT_SIGNIFICANT = Rule(f"holds unless above 0 with p < {ALPHA}", _not_significant)
POSITIVE = Rule("holds if above 0, with its interval where it has one", _positive)
ALL_ALIKE = Rule(f'holds if at least {ALIKE} (the paper says "very high")', _at_least(ALIKE))
ARE_LOW = Rule(f'holds if at most {LOW} (the paper says "low")', _at_most(LOW))
_FLOOR = (
    f"; not comparable where the best network finds fewer than {FLOOR:.0f} classes (sum of IoU "
    f"over the largest) and the seeds of fine-tuning correlate less than {SEEDS_AGREE}"
)
REACHES_MIOU = replace(REACHES, words=REACHES.words + _FLOOR)
POSITIVE_MIOU = replace(POSITIVE, words=POSITIVE.words + _FLOOR)
CLUSTERS = Rule(f"holds if the adjusted Rand index is at least {CLUSTERED}", _at_least(CLUSTERED))
SAME_RANKING = Rule(f"holds if the rankings correlate at least {ROBUST}", _at_least(ROBUST))
NOT_FIRST = Rule("holds if not the first, with its interval", _not_first)
CHEAPER = Rule("holds if fine-tuning takes longer than similarity", _at_least(1.0))


# --- where each value is found ---


def _separation(layer: str, column: str = "difference") -> Callable[[Run], Found]:
    def find(run: Run) -> Found:
        if layer == "labels" and "labels" not in set(run.table("type_separation")["layer"]):
            raise NotComparable(LACKING["label_agreement"])
        row = run.row("type_separation", layer=layer, control="none")
        note = f"within a type {row['within']:.2f}, between types {row['between']:.2f}"
        if column == "ari_average":
            note = f"average linkage cut into {row['n_clusters']:.0f}; a cut is brittle"
        return Found(float(row[column]), p=float(row["p"]), note=note)

    return find


def _alike_at_block1(run: Run) -> Found:
    row = run.row("type_separation", layer="block1", control="none")
    note = "mean of pairs of different types"
    if not math.isnan(row["random_mean"]):
        note += f"; random-weight networks {row['random_mean']:.2f}"
    return Found(float(row["between"]), note=note)


def _fall(run: Run) -> Found:
    """Smallest fall of the mean similarity from one layer to the next."""
    table = run.table("similarity")
    means = table[table["layer"] != "labels"].groupby("layer")["rs"].mean()
    depth = [name for name in (*(f"block{n}" for n in range(1, 5)), "compressed") if name in means]
    if len(depth) < 2:
        raise NotComparable("the run has one layer")
    values = means[depth].to_numpy()
    note = "smallest step; means " + ", ".join(f"{value:.2f}" for value in values)
    return Found(float(-np.diff(values).max()), note=note)


def _growth(run: Run) -> Found:
    first, last = (
        run.row("type_separation", layer=layer, control="none")
        for layer in ("block1", "compressed")
    )
    first, last = first["difference"], last["difference"]
    note = f"within less between types: {first:.2f} at block 1, {last:.2f} at the output"
    return Found(float(last - first), note=note)


def _low_labels(run: Run) -> Found:
    table = run.table("similarity")
    labels = table[table["layer"] == "labels"]["rs"]
    if labels.empty:
        raise NotComparable(LACKING["label_agreement"])
    follow = run.row("label_agreement", layer="compressed")["spearman"]
    note = f"median of pairs; over pairs, networks follow the labels with Spearman {follow:.2f}"
    return Found(float(labels.median()), note=note)


def _estimate(row: Mapping, how: str, **more: object) -> Found:
    """Return a correlation with its interval, as the tables of this workflow write them."""
    value, low, high = (row.get(f"{how}{end}") for end in ("", "_low", "_high"))
    if value is None or math.isnan(value):
        raise NotComparable("too few networks to correlate")
    known = not (low is None or math.isnan(low) or math.isnan(high))
    p = row.get(f"{how}_p", math.nan)
    return Found(
        float(value),
        *((float(low), float(high)) if known else (None, None)),
        p=None if math.isnan(p) else float(p),
        **more,
    )


def _tree(how: str) -> Callable[[Run], Found]:
    def find(run: Run) -> Found:
        table = run.table("taxonomy_agreement")
        ours = table[table["similarity"] == "ours"].set_index("affinities")
        kind = "measured" if "measured" in ours.index else "published"
        row = run.row("taxonomy_agreement", similarity="ours", affinities=kind)
        if kind == "measured":
            note = f"{row['n_tasks']:.0f} tasks; affinities measured here by probes"
            if "published" in ours.index:
                note += f"; with Taskonomy's, of another bank, {ours.loc['published', how]:.2f}"
        else:
            note = f"{row['n_tasks']:.0f} tasks; Taskonomy's affinities"
            if run.bank != "taskonomy":
                note += ", which belong to another bank"
        return _estimate(row, how, note=note)

    return find


def _small(how: str) -> Callable[[Run], Found]:
    def find(run: Run) -> Found:
        row = run.row("small_vs_bank", task="mean", own_task="left out")
        return _estimate(row, how, note=f"mean of {row['n_tasks']:.0f} tasks, own network left out")

    return find


def _lowest_small(kind: str, without: Sequence[str] = ()) -> Callable[[Run], Found]:
    def find(run: Run) -> Found:
        table = run.table("small_vs_bank")
        tasks = [name for name, task in TASKS.items() if task.type == kind and name not in without]
        table = table[(table["own_task"] == "left out") & table["task"].isin(tasks)]
        table = table.dropna(subset=["pearson"])
        if table.empty:
            raise NotComparable(f"no small model of a {kind} task")
        row = table.loc[table["pearson"].idxmin()]
        reached = (table["pearson"] >= PUBLISHED_SMALL[kind]).sum()
        note = (
            f"lowest of {len(table)}: {TASKS[row['task']].label}; "
            f"{reached} of {len(table)} reach {PUBLISHED_SMALL[kind]}"
        )
        return _estimate(row, "pearson", note=note)

    return find


def _small_matrix(how: str) -> Callable[[Run], Found]:
    def find(run: Run) -> Found:
        row = run.row("small_agreement", seeds="mean")
        return _estimate(row, how, note=f"{row['n_tasks']:.0f} tasks, mean of the seeds")

    return find


def _transfer(how: str) -> Callable[[Run], Found]:
    def find(run: Run) -> Found:
        row = run.row("selection", method="rsa", target="mean")
        note = f"mean of {row['n_targets']:.0f} targets; affinities {_kind(row['affinities'])}"
        return _estimate(row, how, note=note)

    return find


def _top(n: int) -> Callable[[Run], Found]:
    def find(run: Run) -> Found:
        row, chance = (run.row("table1", method=method) for method in ("rsa", "random"))
        top = f"top{n}"
        found = _estimate(row, top)
        note = (
            f"{found.value:.0f} of {row['n']:.0f}; published {PUBLISHED_TOP[n]} of 17; "
            f"a random order {chance[top]:.1f}"
        )
        share = [None if x is None else x / row["n"] for x in (found.value, found.low, found.high)]
        return Found(*share, note=note, chance=float(chance[top] / row["n"]))

    return find


def _kind(affinities: str) -> str:
    return "measured here by probes" if affinities == "measured" else "of Taskonomy"


def superiority(above: Iterable[float], below: Iterable[float]) -> float:
    """Return the share of pairs in which a value of `above` is the larger; ties count half."""
    above, below = np.asarray(list(above), float), np.asarray(list(below), float)
    difference = above[:, None] - below[None]
    return float((np.sign(difference).mean() + 1) / 2)


def _order_by_type(run: Run) -> Found:
    # Imported here, for it takes longer to import than the rest of this module to run.
    from scipy.stats import mannwhitneyu

    table = run.table("figure8")
    low = table[table["type"] == "2D"]["rs"]
    high = table[table["type"].isin(["3D", "semantic"])]["rs"]
    if low.empty or high.empty:
        raise NotComparable("the bank has no 2D network, or only those")
    p = mannwhitneyu(high, low, alternative="greater").pvalue
    means = table.groupby("type")["rs"].mean()
    note = "mean similarity " + ", ".join(
        f"{kind} {means[kind]:.2f}" for kind in ("semantic", "3D", "2D") if kind in means
    )
    return Found(superiority(high, low), p=float(p), note=note, chance=0.5)


def _published_order_by_type() -> float:
    place = {name: -at for at, name in enumerate(PUBLISHED_ORDER)}
    high = [place[name] for name in place if TASKS[name].type in ("3D", "semantic")]
    return superiority(high, [place[name] for name in place if TASKS[name].type == "2D"])


def _own_rank(run: Run) -> Found:
    row = run.row("figure8", model=run.own)
    first = run.table("figure8").sort_values("rank", kind="stable").iloc[0]
    note = f"rank of {row['label']} among {len(run.table('figure8'))}; first is {first['label']}"
    if row["rank"] <= 1:
        note = f"rank of {row['label']} among {len(run.table('figure8'))}"
    return Found(float(row["rank"]), float(row["rank_low"]), float(row["rank_high"]), note=note)


def classes_found(table2: pd.DataFrame) -> tuple[float, str]:
    """Return how many classes the best network found, and the class it found best.

    The number is the sum of its IoU over its largest: 1 for a network that predicts background (or
    any one class) everywhere, whatever the share of that class, and up to the number of classes.

    Raises
    ------
    NotComparable
        If the table has no IoU by class, or the best network found nothing at all.
    """
    classes = [name for name in table2 if name.startswith("iou_")]
    best = table2.loc[table2["miou_mean"].idxmax(), classes].astype(float).fillna(0)
    if not classes or not best.max() > 0:
        raise NotComparable("fine-tuning found no class at all")
    return float(best.sum() / best.max()), best.idxmax().removeprefix("iou_")


def _off_the_floor(run: Run) -> None:
    """Raise NotComparable where there is no order of networks to predict.

    That is where fine-tuning found little but one class, unless its seeds order the networks alike:
    then the order is real, however low the scores.
    """
    table = run.table("table2")
    found, most = classes_found(table)
    agree = run.row("table2_prediction", ranking=OURS)["seeds_agree"]
    if found < FLOOR and not agree >= SEEDS_AGREE:
        raise NotComparable(
            f"fine-tuning hardly left the floor: the best network, mIoU "
            f"{table['miou_mean'].max():.3f}, finds little but {most}"
        )


def _prediction(run: Run) -> Found:
    _off_the_floor(run)
    row = run.row("table2_prediction", ranking=OURS)
    note = (
        f"{row['n_models']:.0f} networks, p of a permutation {_p(row['spearman_p'])}; published "
        f"on the six tasks of Table 2: {PUBLISHED_PREDICTION_6:.2f}"
    )
    if not math.isnan(row["seeds_agree"]):
        note += f"; seeds of fine-tuning agree by {row['seeds_agree']:.2f}"
    return _estimate(row, "spearman", note=note)


def _gain(statistic: str) -> Callable[[Run], Found]:
    def find(run: Run) -> Found:
        _off_the_floor(run)
        row = run.row("table2_choice", statistic=statistic)
        if math.isnan(row["value"]):
            raise NotComparable("the ranking has no first choice")
        choice = run.row("table2_choice", statistic="choice")
        label = TASKS[choice["model"]].label if choice["model"] in TASKS else choice["model"]
        low, high = (None if math.isnan(x) else float(x) for x in (row["low"], row["high"]))
        note = f"choice {label}, mIoU {choice['value']:.3f}"
        return Found(float(row["value"]), low, high, note=note)

    return find


def _below_scratch(run: Run) -> Found:
    """Random initialisation less the mean of the two networks that the paper found below it."""
    _off_the_floor(run)
    random = run.row("table2", model="random")
    pair = [run.row("table2", model=name)["miou_mean"] for name in BELOW_SCRATCH]
    note = (
        f"random {random['miou_mean']:.3f}, {' and '.join(f'{x:.3f}' for x in pair)}; no interval"
    )
    return Found(float(random["miou_mean"] - np.mean(pair)), note=note)


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


def _robust(factor: str) -> Callable[[Run], Found]:
    def find(run: Run) -> Found:
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
        what = (
            f"after {row['number']:.0f} % of the steps"
            if factor == "stage"
            else f"{row['number']:.0f} channels"
        )
        return Found(float(row["spearman"]), note=f"{what}, the lowest; mean over tasks")

    return find


def _costs(run: Run, prefix: str | tuple[str, ...], lacking: str) -> list[float]:
    """Return the seconds of all timed jobs of some kinds: of the CPU, or on a GPU of the wall."""
    if run.jobs is None:
        raise NotComparable("timings differ from run to run; the report has this one's")
    times = [
        job.wall_s if run.gpu else job.cpu_s for job in run.jobs if job.name.startswith(prefix)
    ]
    times = [time for time in times if time]
    if not times:
        raise NotComparable(lacking)
    return times


def _cost_per_network(run: Run) -> Found:
    fine = np.median(_costs(run, "finetune_", "no fine-tuning was timed"))
    rdm = np.median(_costs(run, "rdms_trained_", "no RDMs were timed"))
    note = f"{_clock(run)} {fine:.1f} against {rdm:.1f}, medians of jobs"
    return Found(float(fine / rdm), note=note)


def _cost_of_choice(run: Run) -> Found:
    fine = np.median(_costs(run, "finetune_", "no fine-tuning was timed"))
    n = len(_costs(run, "rdms_trained_", "no RDMs were timed"))
    rdms = sum(_costs(run, ("rdms_trained_", "rdms_target"), "no RDMs were timed"))
    small = np.median(_costs(run, "train_target_model_", "no small model was timed"))
    note = (
        f"{_clock(run)} {fine * n:.0f} for {n} networks once, against "
        f"{rdms:.0f} for RDMs and {small:.0f} for a small model"
    )
    return Found(float(fine * n / (rdms + small)), note=note)


def _clock(run: Run) -> str:
    return "seconds on a GPU" if run.gpu else "CPU-seconds"


# --- the table ---

COST = "C12"  # the last claim, the only one that is judged by timings
PUBLISHED_TOP = {1: 7, 3: 14, 5: 16}  # Table 1, of 17 targets
PUBLISHED_SMALL = {"2D": 0.97, "3D": 0.77}  # Figures 7 and S1
BELOW_SCRATCH = ("autoencoder", "vanishing_point")


def _published_prediction(order: Sequence[str]) -> float:
    """Return Spearman's correlation of an order, most similar first, with the published mIoU."""
    miou = pd.Series([PUBLISHED_MIOU[name] for name in order if name in PUBLISHED_MIOU])
    return float(miou.rank().corr(pd.Series(range(len(miou), 0, -1))))


def _published_gain(over: Iterable[str]) -> float:
    """Return by how much the first choice of Figure 8 beats the mean of others, in mIoU."""
    return PUBLISHED_MIOU[PUBLISHED_ORDER[0]] - float(np.mean([PUBLISHED_MIOU[n] for n in over]))


PUBLISHED_PREDICTION = _published_prediction(PUBLISHED_ORDER)  # 17 tasks
PUBLISHED_PREDICTION_6 = _published_prediction(PUBLISHED_TABLE2)

CLAIMS = (
    Claim(
        "C1",
        "separation",
        "Networks of one task type are more alike than networks of different types "
        "(compressed output, within less between)",
        "Fig. 4",
        None,
        SIGNIFICANT,
        _separation("compressed"),
    ),
    Claim(
        "C1",
        "clusters",
        "The tree's clusters are the task types (adjusted Rand index)",
        "Fig. 4b",
        None,
        CLUSTERS,
        _separation("compressed", "ari_average"),
    ),
    Claim(
        "C2",
        "block1",
        "At block 1 all networks are alike, whatever their type",
        "Fig. 5.1",
        None,
        ALL_ALIKE,
        _alike_at_block1,
    ),
    Claim("C2", "fall", "Similarity falls with depth", "Fig. 5.1-5.5", None, POSITIVE, _fall),
    Claim(
        "C2",
        "growth",
        "The types separate more at the output than at block 1",
        "Fig. 5.1-5.5",
        None,
        POSITIVE,
        _growth,
    ),
    Claim(
        "C3",
        "labels",
        "Labels do not group by task type (within less between)",
        "Fig. 5.6",
        None,
        NOT_SIGNIFICANT,
        _separation("labels"),
    ),
    Claim(
        "C3",
        "low",
        "Most similarities of labels are low",
        "section 6.1",
        None,
        ARE_LOW,
        _low_labels,
    ),
    *(
        Claim(
            "C4",
            how,
            f"Similarity of representations agrees with that of transfer ({how.title()})",
            "section 6.1, Fig. 6",
            published,
            REACHES,
            _tree(how),
        )
        for how, published in (("pearson", 0.62), ("spearman", 0.65))
    ),
    *(
        Claim(
            "C5",
            how,
            f"A small model ranks the bank as the bank's own network does (mean {how.title()})",
            "section 6.2",
            published,
            REACHES,
            _small(how),
        )
        for how, published in (("pearson", 0.84), ("spearman", 0.85))
    ),
    Claim(
        "C5",
        "lowest_2d",
        "Small models of 2D tasks, 2D segmentation excepted, do so (lowest Pearson)",
        "Fig. 7, S1",
        PUBLISHED_SMALL["2D"],
        REACHES,
        _lowest_small("2D", ("segment2d",)),
    ),
    Claim(
        "C5",
        "lowest_3d",
        "Small models of 3D tasks do so (lowest Pearson)",
        "Fig. 7, S1",
        PUBLISHED_SMALL["3D"],
        REACHES,
        _lowest_small("3D"),
    ),
    *(
        Claim(
            "C6",
            how,
            f"Small models are alike as the bank's networks are ({how.title()})",
            "section 6.2, Fig. S3",
            published,
            REACHES,
            _small_matrix(how),
        )
        for how, published in (("pearson", 0.85), ("spearman", 0.88))
    ),
    *(
        Claim(
            "C7",
            how,
            f"Similarity predicts transfer (mean {how.title()} over targets)",
            "section 6.3",
            published,
            REACHES,
            _transfer(how),
        )
        for how, published in (("pearson", 0.70), ("spearman", 0.76))
    ),
    *(
        Claim(
            "C8",
            f"top{n}",
            f"The most similar source is among the best {n} by transfer (share of targets)"
            if n > 1
            else "The most similar source is the best by transfer (share of targets)",
            "Table 1",
            count / 17,
            REACHES_COUNT,
            _top(n),
        )
        for n, count in PUBLISHED_TOP.items()
    ),
    Claim(
        "C9",
        "types",
        "For the new task, semantic and 3D networks rank above 2D ones (share of pairs)",
        "Fig. 8, by the order of its axis",
        _published_order_by_type(),
        SIGNIFICANT,
        _order_by_type,
    ),
    Claim(
        "C9",
        "own",
        "The bank's own semantic segmentation is not the first (its rank)",
        "Fig. 8, by the order of its axis",
        float(PUBLISHED_ORDER.index("segmentsemantic") + 1),
        NOT_FIRST,
        _own_rank,
    ),
    Claim(
        "C10",
        "prediction",
        "The ranking predicts fine-tuned mIoU (Spearman, whole bank)",
        "Fig. 8 with the mIoU published in 2020",
        PUBLISHED_PREDICTION,
        REACHES_MIOU,
        _prediction,
    ),
    Claim(
        "C10",
        "gain_mean",
        "The first choice beats the bank's mean (mIoU)",
        "Fig. 8 with the mIoU published in 2020",
        _published_gain(name for name in PUBLISHED_MIOU if name in TASKS),
        POSITIVE_MIOU,
        _gain("gain_over_mean"),
    ),
    Claim(
        "C10",
        "gain_random",
        "The first choice beats random initialisation (mIoU)",
        "Table 2",
        _published_gain(["random"]),
        POSITIVE_MIOU,
        _gain("gain_over_random"),
    ),
    Claim(
        "C10",
        "below_scratch",
        "Autoencoding and vanishing point do worse than random initialisation (mIoU)",
        "Table 2",
        PUBLISHED_MIOU["random"] - sum(PUBLISHED_MIOU[name] for name in BELOW_SCRATCH) / 2,
        POSITIVE_MIOU,
        _below_scratch,
    ),
    Claim(
        "C11",
        "images",
        "The ranking does not hang on the images (Spearman)",
        "supplement S3",
        None,
        SAME_RANKING,
        _robust_images,
    ),
    Claim(
        "C11",
        "width",
        "The ranking does not hang on the small model's size (Spearman with the default size)",
        "supplement S3",
        None,
        SAME_RANKING,
        _robust("width"),
    ),
    Claim(
        "C11",
        "stage",
        "The ranking does not hang on the training's stage (Spearman with the finished model)",
        "supplement S3",
        None,
        SAME_RANKING,
        _robust("stage"),
    ),
    Claim(
        COST,
        "network",
        "Judging a network by similarity costs less than fine-tuning it (ratio of time)",
        "section 1",
        None,
        CHEAPER,
        _cost_per_network,
    ),
    Claim(
        COST,
        "choice",
        "Choosing by similarity costs less than fine-tuning the whole bank (ratio of time)",
        "section 1",
        None,
        CHEAPER,
        _cost_of_choice,
    ),
)


def judge(claim: Claim, run: Run) -> dict[str, object]:
    """Return one row of the table of claims, with the columns `COLUMNS`."""
    row = dict.fromkeys(COLUMNS) | {
        "claim": claim.id,
        "statement": claim.statement,
        "published": claim.published,
        "rule": claim.rule.words,
        "source": claim.source,
    }
    try:
        found = claim.find(run)
        if math.isnan(found.value):
            raise NotComparable("undefined in this run")
        if found.p is not None and math.isnan(found.p):
            raise NotComparable("the table has no p value")
    except NotComparable as reason:
        return row | {"verdict": OPEN, "note": str(reason)}
    verdict, why = claim.rule.judge(claim.published, found)
    values = {"ours": found.value, "ci_low": found.low, "ci_high": found.high}
    note = "; ".join(part for part in (why, found.note) if part)
    return row | values | {"verdict": verdict, "note": note}


def judge_all(run: Run, claims: Sequence[Claim] = CLAIMS) -> list[dict[str, object]]:
    """Return the table of claims: one row for every number, in the paper's order."""
    return [judge(claim, run) for claim in claims]


def with_timings(
    rows: Iterable[Mapping[str, object]], jobs: Sequence[Job], gpu: bool
) -> list[Mapping[str, object]]:
    """Return rows of `judge_all`, those about cost judged by the timings of a run's jobs."""
    about_cost = [claim for claim in CLAIMS if claim.id == COST]
    timed = judge_all(Run({}, jobs, gpu=gpu), about_cost)
    return [row for row in rows if row["claim"] != COST] + timed


def read_tables(paths: Iterable[str]) -> dict[str, pd.DataFrame]:
    """Read tables by the name of their file; empty files count as tables without rows.

    Raises
    ------
    DataError
        If a file is not there or is no table.
    """
    tables = {}
    for path in map(Path, paths):
        try:
            tables[path.stem] = pd.read_csv(path)
        except pd.errors.EmptyDataError:
            tables[path.stem] = pd.DataFrame()
        except FileNotFoundError:
            raise DataError(f"{path}: there is no such table; make it again") from None
        except (pd.errors.ParserError, UnicodeDecodeError) as error:
            raise DataError(f"{path}: is no table ({error}); make it again") from None
    return tables


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.2g}"
