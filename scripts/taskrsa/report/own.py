"""The page of a bank of the user's own: which network to fine-tune for the target, and how sure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from markupsafe import Markup

from taskrsa.analysis.tables import similarity_square
from taskrsa.errors import DataError
from taskrsa.figures.style import ModelStyle, task_style
from taskrsa.io.costs import stage_of
from taskrsa.report import draw, view
from taskrsa.report.answer import Answer
from taskrsa.report.page import (
    Inputs,
    Section,
    cost_section,
    html,
    made_from,
    seeds_table,
    shown_picture,
)
from taskrsa.report.view import Cell, Column, Table, table_of
from taskrsa.rsa.clustering import LINKAGES

SMALL = "small model"
_METRICS = {"miou": "mIoU", "accuracy": "accuracy", "error_removed": "share of the error removed"}
# What a ranking takes, by the stages of the jobs.
_RANKING = ("RDMs of the own bank", "small models of the target")


def render_own(
    inputs: Inputs, networks: Mapping[str, tuple[str, str]], layer: str, target: str = ""
) -> str:
    """Return the page as HTML.

    Parameters
    ----------
    inputs : `tables` holds "similarity" of all layers; of a run with a target "target_ranking" and
        "target_images"; of a labelled one "target_scores" and "cost", and "curves": model, seed,
        step, train_loss, score. `linkage` is not used: the tree is that of average linkage at
        `layer`.
    networks : label and type of each network of the bank
    layer : at which networks are ranked; its matrix is shown first, or that of the first layer
        where they were not compared at this one
    target : name of the network that stands for the target, if one does

    Raises
    ------
    DataError
        If a table lacks what the page needs of it, or a picture cannot be read.
    """
    try:
        layers = list(dict.fromkeys(inputs.tables["similarity"]["layer"]))
        if layer not in layers:
            layer = layers[0]
        return html(
            inputs.settings["run"],
            own_answer(inputs, networks, layer, target),
            _sections(inputs, task_style(networks, networks), layers, layer),
            shown_layer=layer,
        )
    except KeyError as error:
        raise DataError(f"a table of the report lacks {error}; make the tables again") from None


# --- the answer ---


def own_answer(
    inputs: Inputs, networks: Mapping[str, tuple[str, str]], layer: str, target: str = ""
) -> Answer:
    """Return the advice of a run, what speaks against it, and what it rests on.

    The parameters are those of `render_own`; networks were compared at `layer`.
    """
    tables = inputs.tables
    # Sentences have room for labels that figures cut.
    names = {model: label for model, (label, _) in networks.items()}
    styles = task_style(networks, networks)
    if "target_ranking" not in tables:
        return _alike(tables["similarity"], names, styles, layer)
    ranking = tables["target_ranking"].sort_values("rank", kind="stable")
    first = ranking.iloc[0].to_dict()
    name = names[first["model"]]
    query = names[target] if target else "the small model of the target"
    shown = view.estimate(first["rs"], first["ci_low"], first["ci_high"])
    sentences = [
        f"Of {len(ranking)} networks, {name} is most similar to {query}: {shown}, with its 95 % "
        "interval over images."
    ]
    tied = ranking.loc[ranking["tied"] == "yes", "model"]
    others = [names[other] for other in tied if other != first["model"]]
    if others:
        sentences.append(
            f"These images cannot tell it from {view.joined(others)} at 95 %: any of the "
            f"{len(others) + 1} may be the best choice."
        )
    else:
        sentences.append("At 95 % it is told from all the others.")
    sentences += _fewer_images(tables.get("target_images"))
    sentences += _cost(inputs)
    reached, against = _reached(tables.get("target_scores"), first["model"], names)
    sentences += reached
    cautions = [*against, *_cautions(first, ranking, tables.get("target_scores"))]
    headline = f"Fine-tune {name}."
    if others and len(others) + 1 == len(ranking):
        headline = "These images cannot tell the networks apart."
    elif others or cautions:
        headline = f"Similarity says: fine-tune {name}."
    return Answer(headline, sentences, cautions, [_ranking(ranking, styles)])


def _fewer_images(frame: pd.DataFrame | None) -> list[str]:
    if frame is None:
        return []
    # Blank where no draw of so many images had a ranking.
    rows = frame.dropna(subset="same_first").sort_values("n_images").to_dict("records")
    if not rows:
        return []
    shown = [f"{row['n_images']:.0f} in {view.share(row['same_first'])}" for row in rows]
    fewest = f"{rows[0]['n_images']:.0f} images put the same network first in "
    fewest += f"{view.share(rows[0]['same_first'])} of the draws"
    return [f"Drawn at random, {view.joined([fewest, *shown[1:]])}."]


def _cost(inputs: Inputs) -> list[str]:
    cost = inputs.tables.get("cost")
    ranked = sum(job.cpu_s or 0.0 for job in inputs.jobs if stage_of(job.name) in _RANKING)
    if cost is None or cost.empty or not ranked:
        return []
    tuning = cost["seconds"].sum()
    return [
        f"Fine-tuning all {len(cost)} would take about {view.amount(tuning / 60)} minutes of one "
        f"core here (timed on a few steps of each); the ranking took {view.amount(ranked / 60)} "
        f"minutes, {_ratio(tuning, ranked)}."
    ]


def _ratio(tuning: float, ranked: float) -> str:
    if tuning >= ranked:
        return f"{view.amount(tuning / ranked)} times less"
    return f"{view.amount(ranked / tuning)} times more"


def _reached(
    scores: pd.DataFrame | None, first: str, names: Mapping[str, str]
) -> tuple[list[str], list[str]]:
    """Return what fine-tuning says, and what of it speaks against the advice."""
    if scores is None:
        return [], []
    tuned, small = scores[scores["model"] != SMALL], scores[scores["model"] == SMALL]
    if first not in set(tuned["model"]):
        return [], []
    ours, best = tuned.set_index("model").loc[first], tuned.loc[tuned["score"].idxmax()]
    metric = _METRICS.get(ours["metric"], ours["metric"])
    said = f"Fine-tuned, {names[first]} reached {view.number(ours['score'], 3)} ({metric})"
    against = []
    if not ours["score"] > ours["floor"]:
        floor = view.number(ours["floor"], 3)
        against.append(f"That is no better than a constant answer ({floor}).")
    if ours["how"] != best["how"]:
        said += f" ({ours['how']})"
    if best["model"] == first:
        said += f", the best of {len(tuned)} that were fine-tuned"
    else:
        lost = view.number(best["score"] - ours["score"], 3)
        against.append(
            f"{names[best['model']]} reached {view.number(best['score'], 3)}"
            + (f" ({best['how']})" if ours["how"] != best["how"] else "")
            + f": following the ranking loses {lost}."
        )
    if len(small) and small["score"].iloc[0] > best["score"]:
        reached = view.number(small["score"].iloc[0], 3)
        against.append(
            f"The small model trained from scratch reached {reached} ({metric}), more than any of "
            f"the {len(tuned)} that were fine-tuned: trained like this, starting from them "
            "gains nothing."
        )
    return [f"{said}."], against


def _cautions(first: Mapping, ranking: pd.DataFrame, scores: pd.DataFrame | None) -> list[str]:
    cautions = []
    if not first["q"] < 0.05:
        cautions.append(
            f"Its similarity is no more than chance (q {view.p_value(first['q'])}): no network of "
            "this bank sees the images as the target does."
        )
    small = None if scores is None else scores[scores["model"] == SMALL]
    if small is not None and len(small):
        row = small.iloc[0]
        if not row["score"] > row["floor"]:
            metric = _METRICS.get(row["metric"], row["metric"])
            cautions.append(
                f"The small model learnt nothing: its {metric} is {view.number(row['score'], 3)}, "
                f"that of a constant answer {view.number(row['floor'], 3)}. Its ranking means "
                "little; train it longer or give it more images."
            )
    return cautions


def _ranking(ranking: pd.DataFrame, styles: Mapping[str, ModelStyle]) -> Table | None:
    columns = [
        view.count("rank", "rank"),
        view.model(styles),
        view.text("type", "type"),
        view.with_interval("rs", "similarity", "ci_low", "ci_high"),
        view.interval("rank_low", "rank_high", "rank, 95 %"),
        view.with_interval("behind", "behind the first", "behind_low", "behind_high"),
        view.text("tied", "tied with it"),
        view.p("q", "q"),
    ]
    title = "The bank ranked for the target"
    return table_of(ranking, title, columns, "tables/target_ranking.csv")


def _alike(
    similarity: pd.DataFrame,
    names: Mapping[str, str],
    styles: Mapping[str, ModelStyle],
    layer: str,
) -> Answer:
    """Return the answer of a run without a target: what is alike at a layer, and what is least."""
    rows = similarity[similarity["layer"] == layer].dropna(subset="rs")
    rows = rows.sort_values("rs", ascending=False, kind="stable")
    pairs = [f"{names[row.model_a]} and {names[row.model_b]}" for row in rows.itertuples()]
    shown = [view.estimate(row.rs, row.ci_low, row.ci_high) for row in rows.itertuples()]
    sentences = []
    if len(pairs) == 1:
        sentences.append(f"At the layer {layer}, the similarity of {pairs[0]} is {shown[0]}.")
    elif pairs:
        sentences.append(
            f"At the layer {layer}, most alike are {pairs[0]}, {shown[0]}; least {pairs[-1]}, "
            f"{shown[-1]}."
        )
    sentences.append("This run has no target (target.kind in its config), so nothing is ranked.")
    columns = [
        view.model(styles, "model_a", "network"),
        view.model(styles, "model_b", "and"),
        view.with_interval("rs", "similarity", "ci_low", "ci_high"),
        view.p("p"),
    ]
    where = f"tables/own_similarity_{layer}.csv"
    table = table_of(rows.head(10), "Most alike", columns, where)
    n = len({*similarity["model_a"], *similarity["model_b"]})
    return Answer(f"{n} networks compared.", sentences, (), [table] if table else [])


# --- sections ---


def _sections(
    inputs: Inputs, styles: Mapping[str, ModelStyle], layers: Sequence[str], layer: str
) -> list[Section]:
    t = inputs.tables
    found = [_networks(t["similarity"], styles, layers, layer)]
    pictures = [shown_picture(name, inputs) for name in inputs.pictures]
    images = _by_images(t.get("target_images", pd.DataFrame()))
    if pictures or images:
        found.append(
            Section(
                "advice",
                "The advice, and how many images it takes",
                "So many images are drawn with replacement, and the bank is ranked by them.",
                (),
                pictures,
                [table for table in (images,) if table is not None],
            )
        )
    scores = t.get("target_scores", pd.DataFrame())
    curves = t.get("curves", pd.DataFrame())
    tables = [_scores(scores, styles), _curves(curves, styles)]
    tables = [table for table in tables if table is not None]
    if tables:
        lead = (
            "The small model is trained from scratch; the floor is the score of the best constant "
            "answer."
        )
        found.append(
            Section(
                "verified",
                "What training reached",
                lead,
                tables=tables,
                curves=_panels(curves, scores, styles),
                curves_title="Score on the validation images by step; broken line: the floor",
            )
        )
    more = _costs(t.get("cost", pd.DataFrame()), styles)
    found.append(cost_section(inputs, "What it cost", (), [more] if more else []))
    target = inputs.settings.get("target", {})
    seeds = {"of the run": inputs.settings.get("seed")}
    if "target_scores" in t:
        seeds |= {
            "of the small models": target.get("small", {}).get("seeds"),
            "of fine-tuning": target.get("seeds"),
        }
    found.append(made_from(inputs, seeds_table(seeds)))
    return found


def _networks(
    similarity: pd.DataFrame,
    styles: Mapping[str, ModelStyle],
    layers: Sequence[str],
    layer: str,
) -> Section:
    matrices = []
    for name in layers:
        rows = similarity[similarity["layer"] == name]
        matrices.append((name, name, Markup(draw.matrix(rows, styles, name))))
    square = similarity_square(similarity, layer)
    tree = None
    if len(square) > 2:
        linkage = np.asarray(LINKAGES["average"](square.to_numpy()))
        tree = Markup(draw.tree(linkage, list(square.index), styles))
    return Section(
        "networks",
        "How alike the networks are",
        "Rank correlation of their representation dissimilarity matrices over the same images. "
        "Point at a cell for its numbers.",
        (),
        [],
        [],
        matrices,
        tree,
        matrix_where="tables/own_similarity_<layer>.csv",
        tree_title=f"Tree at the layer {layer}, average linkage",
        type_key=False,
    )


def _by_images(frame: pd.DataFrame) -> Table | None:
    columns = [
        view.count("n_images", "images"),
        _share("same_first", "same first choice"),
        _share("in_tied", "first among the tied"),
        view.count("n_tied", "networks not told apart"),
        view.value("spearman", "Spearman with all images"),
        view.count("draws", "draws"),
    ]
    return table_of(frame, "From fewer images", columns, "tables/target_images.csv")


def _share(name: str, head: str) -> Column:
    return Column(head, lambda row: Cell(view.share(row[name]), view.sort_key(row[name])))


def _scores(frame: pd.DataFrame, styles: Mapping[str, ModelStyle]) -> Table | None:
    if frame.empty:
        return None
    metric = _METRICS.get(frame["metric"].iloc[0], frame["metric"].iloc[0])
    columns = [
        view.model(styles),
        view.count("rank", "rank by similarity"),
        view.value("rs", "similarity"),
        view.text("tied", "tied with the first"),
        view.text("how", "trained"),
        view.value("score", metric, 3),
        view.value("score_sd", "sd, seeds", 3),
        view.count("score_rank", f"rank by {metric}"),
        view.value("floor", "floor", 3),
        view.count("n_val", "validation images"),
    ]
    return table_of(frame, "Scores", columns, "tables/target_scores.csv")


def _panels(
    curves: pd.DataFrame, scores: pd.DataFrame, styles: Mapping[str, ModelStyle]
) -> list[tuple[str, Markup]]:
    """Return a panel of learning curves for each network, on one scale of scores; none where
    every training was scored only once."""
    if curves.empty or scores.empty or curves.groupby(["model", "seed"]).size().max() < 2:
        return []
    # A score may be missing where validation images have no class in common.
    curves = curves.dropna(subset="score")
    floor = scores["floor"].iloc[0]
    ends = min(floor, curves["score"].min()), max(floor, curves["score"].max())
    panels = []
    for model, rows in curves.groupby("model", sort=False):
        title = styles[model].label if model in styles else model
        lines = {
            f"seed {seed}": list(zip(run["step"], run["score"], strict=True))
            for seed, run in rows.groupby("seed", sort=False)
        }
        svg = draw.curves(lines, ends, rows["step"].max(), title, floor)
        panels.append((title, Markup(svg)))
    return panels


def _curves(frame: pd.DataFrame, styles: Mapping[str, ModelStyle]) -> Table | None:
    """Return the learning curves as one table: a row for every score of a training."""
    columns = [
        view.model(styles),
        view.count("seed", "seed"),
        view.count("step", "step"),
        view.value("train_loss", "training loss since", 3),
        view.value("score", "score", 3),
    ]
    where = "target/small/s*/learning_curve.csv, target/tuned/*/s*/learning_curve.csv"
    return table_of(frame, "Learning curves", columns, where, True)


def _costs(frame: pd.DataFrame, styles: Mapping[str, ModelStyle]) -> Table | None:
    columns = [
        view.model(styles),
        view.text("how", "trained"),
        view.count("steps", "steps"),
        view.count("seeds", "seeds"),
        view.value("seconds_per_step", "seconds a step", 3),
        view.count("seconds", "seconds in all"),
    ]
    title = "What fine-tuning each network takes, timed on a few steps"
    return table_of(frame, title, columns, "target/cost.csv")
