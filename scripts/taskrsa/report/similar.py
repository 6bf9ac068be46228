"""What the page says of the paper's RSA: what it puts first, and whether it can tell at all."""

from __future__ import annotations

import pandas as pd

from taskrsa.analysis.outcomes import has_learnt
from taskrsa.analysis.ranking import FEWEST, ranking_agreement
from taskrsa.report.advised import is_of_rsa, measures_of, trainings
from taskrsa.report.choice import SIMILARITY, Choice
from taskrsa.report.inputs import SMALL, Inputs
from taskrsa.report.words import Said, metric_of, names_of, ordinal, together
from taskrsa.text import estimate, is_known, number, p_value, percent

ALPHA = 0.05
FEW = 5  # networks below which a correlation with fine-tuning says nothing


def similar(inputs: Inputs, target: str, choice: Choice) -> Said:
    """Return what the ranking by RSA says, beside the advice where there is one."""
    ranking = inputs.table("ranking", target).sort_values("rank", kind="stable")
    parts = [_first(ranking, inputs, target), _learnt(inputs, target), _exceeds(ranking)]
    parts.append(_beyond_untrained(ranking))
    parts.insert(1, _shown(ranking, inputs, target))
    if choice.basis == SIMILARITY:
        parts.insert(1, _as_good(inputs, choice, ranking))
        parts.insert(2, Said(_by_images(inputs.table("ranking_images", target))))
    ranking_by = "similarity" if inputs.config.targets[target].arrays else "RSA"
    parts.append(Said(_predicted(inputs.table("prediction", target), ranking_by)))
    parts.append(Said(notes=_drawn(inputs, ranking, target)))
    if not is_of_rsa(inputs, target):
        # What speaks against RSA does not speak against an advice that does not rest on it.
        parts = [Said([*part.sentences, *part.cautions], (), part.notes) for part in parts]
    return together(parts)


def _first(ranking: pd.DataFrame, inputs: Inputs, target: str) -> Said:
    """Say which network is the most similar, and whether the advice agrees."""
    first, advice = ranking.iloc[0], inputs.table("advice", target)
    name, config = inputs.label(first["model"]), inputs.config.targets[target]
    query = inputs.label(config.network) if config.network else "the target's small model"
    query = "the target's model" if config.arrays else query
    similarity = estimate(first["rs"], first["ci_low"], first["ci_high"])
    if advice.empty or measures_of(advice) == ["rsa"]:
        return Said(
            [
                f"Of {len(ranking)} networks, {name} is the most similar to {query}: "
                f"{similarity} (95 % interval over {_over(ranking)})."
            ]
        )
    ours = advice["model"].iloc[0]
    if first["model"] == ours:
        return Said(
            [f"The paper's RSA agrees: {name} is the most similar to {query}, {similarity}."]
        )
    said = f"The paper's RSA disagrees: {name} is the most similar to {query}, {similarity}"
    for row in ranking[ranking["model"] == ours].to_dict("records"):
        said += f", and {inputs.label(ours)} {ordinal(row['rank'])} of {len(ranking)}"
        if row["tied"] == "yes":
            said += f", but these {_over(ranking)} cannot tell the two apart"
    return Said([f"{said}."])


def _over(ranking: pd.DataFrame) -> str:
    """Name what intervals of a ranking are over."""
    return "images and trainings" if trainings(ranking) > 1 else "images"


def _drawn(inputs: Inputs, ranking: pd.DataFrame, target: str) -> list[str]:
    """Say what the order by RSA may change with, beyond the images drawn."""
    said = [inputs.grouped] if inputs.grouped else []
    seeds = trainings(ranking)
    config = inputs.config.targets[target]
    if not seeds or config.network or config.arrays:
        return said  # nothing is trained for it here
    if seeds == 1:
        return [
            "RSA ranks by one small model: training it again may change the order "
            "(more small.seeds for the target would show it).",
            *said,
        ]
    return [f"Intervals of RSA allow for training its {seeds} small models again.", *said]


def _shown(ranking: pd.DataFrame, inputs: Inputs, target: str) -> Said:
    """Say that networks were ranked on images of the target, and whether the run's stimuli agree,
    where they are compared on these as well."""
    n = len(inputs.table("stimuli", target))
    if not n:
        return Said()
    said = [f"RSA rests on {n} training images of the target."]
    if "rs_bank" in ranking:
        first = ranking.sort_values("rank_bank", kind="stable")["model"].iloc[0]
        is_same = first == ranking["model"].iloc[0]
        puts = f"put {inputs.label(first)} first{' as well' if is_same else ' instead'}"
        agree = ranking_agreement(ranking["rs"], ranking["rs_bank"])["spearman"]
        is_shown = len(ranking) >= FEWEST and is_known(agree)
        shown = f" (Spearman of the two rankings {number(agree)})" if is_shown else ""
        said.append(f"The run's stimuli {puts}{shown}.")
    return Said(said)


def _exceeds(ranking: pd.DataFrame) -> Said:
    q = ranking["q"].iloc[0]
    if q < ALPHA or not is_known(q):  # given similarities have no test
        return Said()
    return Said(
        (),
        [
            f"By RSA, the greatest similarity does not exceed chance (q {p_value(q)}): no network "
            "of this bank represents the images as the target does."
        ],
    )


def _beyond_untrained(ranking: pd.DataFrame) -> Said:
    """Say how many networks are more alike to the target than an untrained one would be."""
    there = ranking.reindex(columns=["n_untrained"])["n_untrained"].fillna(0) > 0
    if not is_known(ranking["q"].iloc[0]):
        return Said()  # given similarities have no test, so no stars
    if not there.any():
        return Said(
            notes=[
                "The run has no untrained networks to compare with: stars only say that there is "
                "something in common."
            ]
        )
    rows = ranking[there]
    first, n = rows.iloc[0], int((rows["q_untrained"] < ALPHA).sum())
    have = estimate(first["untrained_mean"], first["untrained_low"], first["untrained_high"])
    count = first["n_untrained"]
    beside = (
        f"an untrained network of the design of {first['label']} has {have}"
        if count == 1
        else f"{count:.0f} untrained networks of the design of {first['label']} have {have} (mean, "
        "and the range that holds 95 % of such networks)"
    )
    if n:
        said = f"{n} of {len(rows)} networks are more similar than an untrained one would be"
        return Said([f"{said} (q < {ALPHA}): {beside}."])
    return Said(
        (),
        [
            "By RSA, no network is more similar to the target than an untrained one of its design "
            f"would be: {beside}. The ranking may say more about designs and images than about "
            "training."
        ],
    )


def _as_good(inputs: Inputs, choice: Choice, ranking: pd.DataFrame) -> Said:
    if not choice.others:
        return Said(["Every other network is less similar (95 % confidence over all comparisons)."])
    return Said(
        [
            f"These {_over(ranking)} cannot distinguish it from "
            f"{names_of(inputs, choice.others)} (95 %): "
            f"any of these {len(choice.others) + 1} networks may be the best choice."
        ]
    )


def _by_images(frame: pd.DataFrame) -> list[str]:
    if frame.empty:
        return []
    # Blank where no draw of that size could be ranked.
    rows = frame.dropna(subset="same_first").sort_values("n_images").to_dict("records")
    if not rows:
        return []
    chosen = [rows[at] for at in dict.fromkeys((0, len(rows) // 2, len(rows) - 1))]
    shown = [(f"{row['n_images']:.0f}", percent(row["same_first"])) for row in chosen]
    (fewest, share), *more = shown
    return [
        f"With {fewest} images drawn at random, {share} of the draws put the same network first"
        + "".join(f"; with {n}, {share}" for n, share in more)
        + "."
    ]


def _learnt(inputs: Inputs, target: str) -> Said:
    """Say what the small model, which makes the ranking, had learnt of the task."""
    scores = inputs.table("scores", target)
    rows = scores[scores["model"] == SMALL] if len(scores) else scores
    if rows.empty:
        return Said()
    row = rows.iloc[0]
    reached = f"{number(row['score'], 3)} ({metric_of(inputs, target)})"
    beside = f"{reached}; chance is {number(row['chance_score'], 3)}"
    if has_learnt(row["score"], row["chance_score"], row["score_sd"]):
        return Said([f"The small model, by which RSA ranks, reached {beside}."])
    next_to = "next to " * bool(row["score"] > row["chance_score"])
    had = f"The small model learnt {next_to}nothing: it reached {beside}."
    return Said((), [f"{had} RSA cannot tell here; train that model longer or on more images."])


def _predicted(frame: pd.DataFrame, ranking_by: str = "RSA") -> list[str]:
    """Say whether the ranking agrees with the scores of all networks fine-tuned."""
    row = frame.iloc[0] if len(frame) else {"n_models": 0}
    if row["n_models"] < FEW or not is_known(row["spearman"]):
        return []
    shown = estimate(row["spearman"], row["spearman_low"], row["spearman_high"])
    did = "does not predict"
    if row["spearman"] > 0:
        did = "predicts" if row["spearman_low"] > 0 else "does not reliably predict"
    return [
        f"Over the {row['n_models']:.0f} fine-tuned networks, the ranking by {ranking_by} {did} "
        f"the scores: Spearman {shown}."
    ]
