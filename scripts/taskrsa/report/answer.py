"""What a user came for: which network to fine-tune, how sure that is, what speaks against it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from taskrsa.figures.style import layer_label
from taskrsa.io.costs import ranking_seconds
from taskrsa.report.inputs import SMALL, Inputs
from taskrsa.report.view import amount
from taskrsa.text import (
    estimate,
    first_few,
    is_known,
    joined,
    metric_name,
    number,
    p_value,
    percent,
)

RANDOM = "random"  # in scores: the bank's encoder, trained from scratch
KINDS = {
    "regression": "regression of maps",
    "values": "regression of numbers",
    "network": "a network of the table",
}
ALPHA = 0.05
FEW = 5  # networks below which a correlation with fine-tuning says nothing
NAMED = 4  # networks that a sentence names


@dataclass(frozen=True)
class Answer:
    """One headline, the sentences below it, and what speaks against trusting it."""

    headline: str
    sentences: Sequence[str]
    cautions: Sequence[str] = ()
    target: str = ""
    about: str = ""  # kind and size of the target


# --- a target ---


def target_answer(inputs: Inputs, target: str) -> Answer:
    """Return which network to fine-tune for a target, how sure that is and what it gains."""
    ranking = inputs.table("ranking", target).sort_values("rank", kind="stable")
    first, config = ranking.iloc[0].to_dict(), inputs.config.targets[target]
    name = inputs.label(first["model"])
    tied = ranking.loc[ranking["tied"] == "yes", "model"]
    others = [inputs.label(model) for model in tied if model != first["model"]]
    query = inputs.label(config.network) if config.network else "the target's small model"
    sentences, cautions = _fine_tuned(inputs, target, first["model"])
    sentences = [
        f"Of {len(ranking)} networks, {name} is the most similar to {query}: "
        f"{estimate(first['rs'], first['ci_low'], first['ci_high'])} (95 % interval over images).",
        _as_good(others),
        *_by_images(inputs.table("ranking_images", target)),
        *sentences,
        *_cost(inputs, target),
    ]
    if not first["q"] < ALPHA:
        chance = (
            f"Its similarity does not exceed chance (q {p_value(first['q'])}): no network of this "
            "bank represents the images as the target does."
        )
        cautions = [chance, *cautions]
    headline = f"Fine-tune {name}."
    if others and len(others) + 1 == len(ranking):
        headline = "No clear first choice."
    elif others or cautions:
        headline = f"Similarity suggests {name}."
    return Answer(headline, sentences, cautions, target, _about(inputs, target))


def _about(inputs: Inputs, target: str) -> str:
    """Return kind and size of a target."""
    kind, images = inputs.config.targets[target].kind, inputs.table("images", target)
    kind = KINDS.get(kind, kind)
    if images.empty:
        return kind
    n = images["split"].value_counts()
    return f"{kind}, {n.get('train', 0):,} training and {n.get('val', 0):,} validation images"


def _as_good(others: Sequence[str]) -> str:
    if not others:
        return "Every other network is less similar (95 % confidence over all comparisons)."
    names = joined(others) if len(others) <= NAMED else first_few(others, NAMED)
    return (
        f"These images cannot distinguish it from {names} (95 %): any of these "
        f"{len(others) + 1} networks may be the best choice."
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


def _cost(inputs: Inputs, target: str) -> list[str]:
    cost, ranked = inputs.table("cost", target), ranking_seconds(inputs.jobs, target, inputs.gpu)
    if cost.empty or not ranked:
        return []
    tuning = cost["seconds"].sum()
    ratio = f"{amount(max(tuning, ranked) / min(tuning, ranked))} times"
    return [
        f"Fine-tuning all {len(cost)} networks would take about {amount(tuning / 60)} minutes "
        f"here (estimated from a few timed steps of each); ranking them took "
        f"{amount(ranked / 60)} minutes, {ratio} {'less' if tuning >= ranked else 'more'}."
    ]


def _fine_tuned(inputs: Inputs, target: str, first: str) -> tuple[list[str], list[str]]:
    """Return what fine-tuning showed, and what of it speaks against the ranking."""
    scores, metric = inputs.table("scores", target), metric_of(inputs, target)
    if scores.empty:
        return [], []
    tuned, by_model = scores[scores["rank"].notna()], scores.set_index("model")
    against = _from_scratch(by_model, tuned["score"], metric)
    if first not in set(tuned["model"]):
        return [], against
    best = tuned.loc[tuned["score"].idxmax()]
    ours, choice = by_model.loc[first], _choice(inputs, target)
    mixed = ours["trained"] != best["trained"]
    sentence = f"Fine-tuned, {inputs.label(first)} reached {number(ours['score'], 3)} ({metric}"
    sentence += f"; {ours['trained']})" if mixed else ")"
    if not ours["score"] > ours["chance_score"]:
        some = best["score"] > best["chance_score"]
        who = "Fine-tuned, it did not beat" if some else "No network fine-tuned beat"
        against.append(f"{who} a constant answer ({number(ours['chance_score'], 3)}).")
    if best["model"] == first:
        sentence += f", the best of the {len(tuned)} networks fine-tuned" * (len(tuned) > 1)
    else:
        lost = choice.get("regret") or number(best["score"] - ours["score"], 3)
        against.append(
            f"The best, {inputs.label(best['model'])}, reached {number(best['score'], 3)}"
            + (f" ({best['trained']})" if mixed else "")
            + f": following the ranking costs {lost}."
        )
    if RANDOM in by_model.index and by_model.loc[RANDOM, "score"] >= ours["score"]:
        reached = number(by_model.loc[RANDOM, "score"], 3)
        against.append(f"An encoder without pretraining did no worse: it reached {reached}.")
    predicted, not_predicted = _predicted(inputs.table("prediction", target))
    sentence = f"{sentence}. {_gains(choice, len(tuned))}".rstrip()
    return [sentence, *predicted], [*against, *not_predicted]


def _from_scratch(by_model: pd.DataFrame, tuned: pd.Series, metric: str) -> list[str]:
    """Say so where the small model, which made the ranking, learnt nothing, or more than all."""
    if SMALL not in by_model.index:
        return []
    row = by_model.loc[SMALL]
    reached, constant = number(row["score"], 3), number(row["chance_score"], 3)
    if not row["score"] > row["chance_score"]:
        return [
            f"The small model learnt nothing: its {metric} is {reached}, that of a constant answer "
            f"{constant}. Its ranking means little; train it longer or on more images."
        ]
    if row["score"] > tuned.max():  # false where no network was fine-tuned
        return [
            f"The small model, trained from scratch, reached {reached} ({metric}), more than any "
            f"of the {len(tuned)} networks fine-tuned: with this recipe, pretraining does not help."
        ]
    return []


def _choice(inputs: Inputs, target: str) -> dict[str, str]:
    """Return the statistics of what choosing gains, as text; gains as "0.010 [...] above"."""
    said = {}
    for row in inputs.table("choice", target).to_dict("records"):
        value, low, high, statistic = (row[key] for key in ("value", "low", "high", "statistic"))
        if not is_known(value):
            continue
        said[statistic] = estimate(value, low, high, 3)
        if statistic.startswith("gain"):
            below = f"{estimate(-value, -high, -low, 3)} below"
            said[statistic] = below if value < 0 else f"{said[statistic]} above"
    return said


def _gains(choice: Mapping[str, str], n: int) -> str:
    said = []
    if n > 1 and "gain_over_mean" in choice:
        said.append(f"{choice['gain_over_mean']} the mean of the {n} networks fine-tuned")
    if "gain_over_random" in choice:
        said.append(f"{choice['gain_over_random']} random initialisation")
    return f"That is {joined(said)}." if said else ""


def _predicted(frame: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Return whether the ranking agrees with the scores of all networks fine-tuned."""
    row = frame.iloc[0] if len(frame) else {"n_models": 0}
    if row["n_models"] < FEW or not is_known(row["spearman"]):
        return [], []
    shown = estimate(row["spearman"], row["spearman_low"], row["spearman_high"])
    over = f"Over the {row['n_models']:.0f} networks fine-tuned, the ranking"
    if row["spearman_low"] > 0:
        return [f"{over} correlates with the scores: Spearman {shown}."], []
    did = "does not reliably predict" if row["spearman"] > 0 else "does not predict"
    return [], [f"{over} {did} the scores: Spearman {shown}."]


def metric_of(inputs: Inputs, target: str) -> str:
    """Return the metric of a target's scores as a page writes it."""
    scores = inputs.table("scores", target)
    return metric_name(scores["metric"].iloc[0] if target and len(scores) else "score")


# --- the bank ---


def bank_answer(inputs: Inputs) -> Answer:
    """Return the answer of a run without a target: do types separate, what is alike."""
    headline, sentences = about_bank(inputs)
    lacking = "This run has no target (targets in its config), so it does not rank the networks."
    return Answer(headline, [*sentences, lacking])


def about_bank(inputs: Inputs) -> tuple[str, list[str]]:
    """Return a headline and sentences on how alike the networks of the bank are."""
    n, headline, sentences = len(inputs.networks), "", []
    separation = inputs.table("type_separation")
    if len(separation):
        at = (separation["layer"] == inputs.layer) & (separation["control"] == "none")
        for row in separation[at & separation["difference"].notna()].to_dict("records"):
            apart = row["p"] < ALPHA and row["difference"] > 0
            headline = f"The {n} networks {'' if apart else 'do not '}group by type."
            sentences.append(
                f"At {place(inputs.layer)}, networks of one type have a mean similarity of "
                f"{number(row['within'])}, networks of different types {number(row['between'])} "
                f"(p {p_value(row['p'])})."
            )
    similarity = inputs.table("similarity")
    rows = similarity[similarity["layer"] == inputs.layer].dropna(subset="rs")
    rows = rows.sort_values("rs", ascending=False, kind="stable")
    pairs = [
        f"{inputs.label(row.model_a)} and {inputs.label(row.model_b)}" for row in rows.itertuples()
    ]
    values = [estimate(row.rs, row.ci_low, row.ci_high) for row in rows.itertuples()]
    if len(rows) == 1:
        sentences.append(f"The similarity of {pairs[0]} is {values[0]}.")
    elif len(rows):
        sentences.append(
            f"Most alike are {pairs[0]}, {values[0]}; least alike are {pairs[-1]}, {values[-1]}."
        )
    return headline or f"{n} networks compared.", sentences


def place(layer: str) -> str:
    """Return a layer as running text."""
    label = layer_label(layer)
    if label == layer:
        return f"layer {layer}"
    return label if label[-1].isdigit() else f"the {label}"
