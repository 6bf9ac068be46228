"""What the page says of the paper's RSA: what it puts first, and whether it can tell at all."""

from __future__ import annotations

import pandas as pd

from taskrsa.report.advised import is_of_rsa, measures_of
from taskrsa.report.choice import SIMILARITY, Choice
from taskrsa.report.inputs import SMALL, Inputs
from taskrsa.report.words import Said, metric_of, names_of, ordinal, together
from taskrsa.text import estimate, is_known, number, p_value, percent

ALPHA = 0.05
FEW = 5  # networks below which a correlation with fine-tuning says nothing
# Share of the range from chance to the highest score there is, 1, below which a small model has
# learnt next to nothing.
LITTLE = 0.05


def similar(inputs: Inputs, target: str, choice: Choice) -> Said:
    """Return what the ranking by RSA says, beside the advice where there is one."""
    ranking = inputs.table("ranking", target).sort_values("rank", kind="stable")
    parts = [_first(ranking, inputs, target), _learnt(inputs, target), _exceeds(ranking)]
    if choice.basis == SIMILARITY:
        parts.insert(1, _as_good(inputs, choice))
        parts.insert(2, Said(_by_images(inputs.table("ranking_images", target))))
    ranking_by = "similarity" if inputs.config.targets[target].arrays else "RSA"
    parts.append(Said(_predicted(inputs.table("prediction", target), ranking_by)))
    if not is_of_rsa(inputs, target):
        # What speaks against RSA does not speak against an advice that does not rest on it.
        parts = [Said([*part.sentences, *part.cautions]) for part in parts]
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
                f"{similarity} (95 % interval over images)."
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
            said += ", but these images cannot tell the two apart"
    return Said([f"{said}."])


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


def _as_good(inputs: Inputs, choice: Choice) -> Said:
    if not choice.others:
        return Said(["Every other network is less similar (95 % confidence over all comparisons)."])
    return Said(
        [
            f"These images cannot distinguish it from {names_of(inputs, choice.others)} (95 %): "
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
    more = row["score"] - row["chance_score"]
    spread = row["score_sd"] if is_known(row["score_sd"]) else 0.0
    if not more > 0:
        had = f"The small model learnt nothing: it reached {beside}."
    elif more <= max(spread, LITTLE * (1 - row["chance_score"])):
        had = f"The small model learnt next to nothing: it reached {beside}."
    else:
        return Said([f"The small model, by which RSA ranks, reached {beside}."])
    return Said((), [f"{had} RSA cannot tell here; train it longer or on more images."])


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
        f"Over the {row['n_models']:.0f} networks fine-tuned, the ranking by {ranking_by} {did} "
        f"the scores: Spearman {shown}."
    ]
