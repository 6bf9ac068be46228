"""What a user came for: which network to fine-tune, what it may be confused with, what it gains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from taskrsa.figures.style import ModelStyle
from taskrsa.paper.claims import HOLDS
from taskrsa.report.view import (
    Table,
    estimate,
    interval,
    joined,
    model,
    number,
    p,
    p_value,
    table_of,
    text,
    value,
    with_interval,
)


@dataclass(frozen=True)
class Answer:
    """One headline, the sentences below it, and what speaks against trusting it."""

    headline: str
    sentences: Sequence[str]
    cautions: Sequence[str] = ()
    tables: Sequence[Table] = field(default=())


def answer(
    tables: Mapping[str, pd.DataFrame],
    claims: Sequence[Mapping],
    styles: Mapping[str, ModelStyle],
) -> Answer:
    """Return the answer of a run: about its new task, or, where it has none, about its bank."""
    if "figure8" in tables and len(tables["figure8"]):
        return _which_network(tables, claims, styles)
    return _what_the_bank_is(tables, styles)


def runners_up(ranking: pd.DataFrame) -> list[str]:
    """Return the networks whose rank reaches the first's place within its 95 % interval.

    `ranking` has model, rank and rank_low, one row a network; the first choice is not among them.
    """
    ranking = ranking.sort_values("rank", kind="stable")
    others = ranking.iloc[1:]
    return list(others.loc[others["rank_low"] <= ranking.iloc[0]["rank"], "model"])


def _which_network(
    tables: Mapping[str, pd.DataFrame],
    claims: Sequence[Mapping],
    styles: Mapping[str, ModelStyle],
) -> Answer:
    ranking = tables["figure8"].sort_values("rank", kind="stable")
    first = ranking.iloc[0].to_dict()
    name = _label(first["model"], styles)
    sentences = [
        f"Of {len(ranking)} networks, {name} sees the images most as the small model of the new "
        f"task does: similarity {estimate(first['rs'], first['ci_low'], first['ci_high'])}, with "
        f"its 95 % interval over images."
    ]
    near = [_label(other, styles) for other in runners_up(ranking)]
    if near:
        sentences.append(f"{_listed(near)} cannot be told from it at 95 %.")
    else:
        then = _label(ranking.iloc[1]["model"], styles) if len(ranking) > 1 else ""
        sentences.append(
            "At 95 % no other network takes its place" + (f"; next is {then}." if then else ".")
        )
    choice = tables.get("table2_choice")
    if choice is not None and len(choice):
        sentences += _what_choosing_gains(choice.set_index("statistic"), styles)
    columns = [
        value("rank", "rank", 0),
        model(styles),
        text("type", "type"),
        with_interval("rs", "similarity", "ci_low", "ci_high"),
        interval("rank_low", "rank_high", "rank, 95 %"),
        p("q", "q"),
    ]
    if "table2" in tables:
        reached = tables["table2"][["model", "miou_mean", "miou_sd", "miou_rank"]]
        ranking = ranking.merge(reached, on="model", how="left")
        columns += [
            value("miou_mean", "fine-tuned mIoU", 3),
            value("miou_sd", "sd, seeds", 3),
            value("miou_rank", "rank by mIoU", 0),
        ]
    title = "The bank ranked for the new task"
    shown = table_of(ranking, title, columns, "tables/figure8.csv, tables/table2.csv")
    cautions = _cautions(claims)
    # A ranking that fine-tuning did not bear out is a suggestion, no advice.
    headline = f"Similarity says: fine-tune {name}." if cautions else f"Fine-tune {name}."
    return Answer(headline, sentences, cautions, [shown])


def _what_choosing_gains(choice: pd.DataFrame, styles: Mapping[str, ModelStyle]) -> list[str]:
    def change(statistic: str) -> str:
        row = choice.loc[statistic]
        return estimate(row["value"], row["low"], row["high"], 3)

    chosen, best = choice.loc["choice"], choice.loc["best"]
    if chosen["value"] != chosen["value"]:
        return []
    sentences = [
        f"Fine-tuned, it reached mIoU {number(chosen['value'], 3)}. Choosing gained "
        f"{change('gain_over_mean')} over a network taken at random from the bank"
        + (
            f", and {change('gain_over_random')} over random weights."
            if "gain_over_random" in choice.index
            else "."
        )
    ]
    if best["model"] == chosen["model"]:
        sentences.append("It was the best of all that were fine-tuned.")
    else:
        sentences.append(
            f"The best, {_label(best['model'], styles)}, reached {number(best['value'], 3)}: "
            f"choosing lost {change('regret')}."
        )
    return sentences


def _cautions(claims: Sequence[Mapping]) -> list[str]:
    """Say what the claims about this ranking found against it."""
    cautions = []
    for row in claims:
        if row["claim"] != "C10" or not row["statement"].startswith("The ranking predicts"):
            continue
        if row["ours"] is None:
            cautions.append(f"Whether fine-tuning agrees cannot be told here: {row['note']}.")
        elif row["verdict"] != HOLDS:
            shown = estimate(row["ours"], row["ci_low"], row["ci_high"])
            weaker = row["note"].startswith("weaker")
            did = "predicted only in part" if weaker else "did not predict"
            cautions.append(
                f"Over the whole bank the ranking {did} what fine-tuning reached: "
                f"Spearman {shown}; {row['note']}."
            )
    return cautions


def _what_the_bank_is(
    tables: Mapping[str, pd.DataFrame], styles: Mapping[str, ModelStyle]
) -> Answer:
    similarity = tables["similarity"]
    output = similarity[similarity["layer"] == "compressed"].sort_values("rs", kind="stable")
    separation = tables["type_separation"].query("layer == 'compressed' and control == 'none'")
    n = len({*output["model_a"], *output["model_b"]})
    pairs = output.iloc[[-1, 0]].to_dict("records")
    both = [
        f"{_label(row['model_a'], styles)} and {_label(row['model_b'], styles)}" for row in pairs
    ]
    shown = [estimate(row["rs"], row["ci_low"], row["ci_high"]) for row in pairs]
    sentences = [
        f"Most alike are {both[0]}, {shown[0]}; least {both[1]}, {shown[1]}.",
        "This run has no new task (pascal.source in its config), so it ranks the bank for the "
        "bank's own tasks only.",
    ]
    headline = f"{n} networks compared."
    if len(separation):
        row = separation.iloc[0]
        apart = row["p"] < 0.05 and row["difference"] > 0
        headline = (
            f"The {n} networks group by task type."
            if apart
            else f"The {n} networks do not group by task type."
        )
        sentences.insert(
            0,
            f"At the compressed output, networks of one type have a mean similarity of "
            f"{number(row['within'])}, networks of different types {number(row['between'])} "
            f"(p {p_value(row['p'])}).",
        )
    columns = [
        model(styles, "model_a", "network"),
        model(styles, "model_b", "and"),
        with_interval("rs", "similarity", "ci_low", "ci_high"),
        p("p"),
    ]
    nearest = table_of(output.iloc[::-1].head(10), "Most alike", columns, "tables/similarity.csv")
    return Answer(headline, sentences, (), [nearest])


def _label(name: str, styles: Mapping[str, ModelStyle]) -> str:
    return styles[name].label if name in styles else str(name)


def _listed(names: Sequence[str]) -> str:
    """Return names as running text, the first with a capital."""
    text = joined(names)
    return text[0].upper() + text[1:]
