"""The sections of the page after the answer. What they show stands in templates/page.yaml."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pandas as pd
import yaml
from markupsafe import Markup
from scipy.cluster.hierarchy import leaves_list

from taskrsa.analysis.selection import TRUTHS, WIN_RATES
from taskrsa.figures.style import layer_label, layer_order
from taskrsa.io.costs import by_stage
from taskrsa.networks.network import RDMS
from taskrsa.report import draw
from taskrsa.report.advised import PREFIX, at_layer, measures_of
from taskrsa.report.answer import about_bank
from taskrsa.report.choice import choice_of, tuned_of
from taskrsa.report.inputs import Inputs
from taskrsa.report.view import VERDICTS, Column, Table, amount, size, table_of
from taskrsa.report.words import metric_of, place
from taskrsa.rsa.inference import confidence_interval
from taskrsa.targets.config import UNLABELLED
from taskrsa.text import number
from taskrsa.transferability import TAP
from taskrsa.transferability.measures import measure_label

TEMPLATES = Path(__file__).parent / "templates"
COLUMNS, PARTS = yaml.safe_load((TEMPLATES / "page.yaml").read_text(encoding="utf-8")).values()
FEW = 20  # rows of a ranking beside the answer; the target's section has all
MEASURED = "measure_"  # before the names of measures, as columns
MANY = 40  # networks from which on only one matrix is drawn


@dataclass
class Section:
    """A section of the page."""

    id: str
    title: str
    target: str = ""
    lead: Sequence[str] = ()
    claims: Sequence[Mapping] = ()
    above: Sequence[Table] = ()  # before the figures
    matrices: Sequence[tuple[str, str, Markup]] = ()  # layer, title, SVG
    tree: Markup | None = None
    tree_title: str = ""
    pictures: Sequence[Mapping] = ()
    curves: Sequence[tuple[str, Markup]] = ()  # title, SVG
    tables: Sequence[Table] = ()
    lines: Sequence[str] = ()  # of a list
    config: str = ""

    @property
    def filled(self) -> bool:
        """Whether there is anything to show below the title."""
        parts = (self.claims, self.matrices, self.pictures, self.lines, self.config)
        return any(map(len, (*parts, self.above, self.tables)))


def all_sections(inputs: Inputs) -> list[Section]:
    """Return the sections that have content, those of the targets first."""
    _, of_target, *others = PARTS
    found = [_section(of_target, inputs, name) for name in inputs.ranked]
    found += [_section(part, inputs) for part in others]
    return [section for section in found if section.filled]


def first_ranks(inputs: Inputs, target: str) -> Table:
    """Return the advice for a target, the ranking where there is none, or its first rows; with what
    fine-tuning reached."""
    by_advice, by_similarity, _ = PARTS[0]["tables"]
    spec = by_advice if len(inputs.table("advice", target)) else by_similarity
    n = len(inputs.table(spec["of"], target))
    of = f"The {n} networks" if n <= FEW else f"The first {FEW} of {n} networks"
    return replace(_table(spec, inputs, target), title=f"{of}, {spec['title']}")


def first_choices(inputs: Inputs) -> Table:
    """Return the first choice for every target."""
    return _table(PARTS[0]["tables"][2], inputs)


def _section(part: Mapping, inputs: Inputs, target: str = "") -> Section:
    """Return a section with what the run has of its claims, figures and tables."""
    ids = part.get("claims", ()) if target in ("", inputs.paper_target) else ()
    shown = [
        (spec.get("above", False), one)
        for spec in part.get("tables", ())
        if (one := _table(spec, inputs, target))
    ]
    section = Section(
        part["id"],
        part.get("title", ""),
        target,
        [part["lead"]] if "lead" in part else [],
        [row for row in inputs.claims if row["claim"] in ids],
        pictures=_pictures(inputs, part, target),
        above=[one for is_above, one in shown if is_above],
        tables=[one for is_above, one in shown if not is_above],
    )
    if part["id"] in MORE:
        MORE[part["id"]](section, inputs, target)
    if section.claims and "paper" in part:
        section.title += f" ({part['paper']})"
    return section


def _table(spec: Mapping, inputs: Inputs, target: str = "") -> Table | None:
    """Return a table of page.yaml; None where the run has no rows of it."""
    name = spec["name"]
    of = spec.get("of", name)
    frame = MADE[name](inputs) if name in MADE else inputs.table(of, target)
    if name in DERIVED and len(frame):
        frame = DERIVED[name](frame, inputs, target)
    metric = metric_of(inputs, target)
    more = EACH[name](frame) if name in EACH and len(frame) else []
    columns = [_column(column, metric) for column in [*spec["columns"], *more]]
    folder = f"targets/{target}" if target else "tables"
    where = spec.get("file", f"{folder}/{of}.csv")
    title = spec["title"].format(metric=metric)
    table = table_of(frame, inputs.styles, title, columns, where, spec.get("folded", False))
    return table and replace(table, note=_note(spec, inputs, target))


def _note(spec: Mapping, inputs: Inputs, target: str) -> str:
    """Return what to know before reading a table; of targets the first that has it says so."""
    of, column = spec.get("of", spec["name"]), spec.get("note_on")
    tables = {name: inputs.table(of, name) for name in inputs.ranked if target}
    having = [
        name
        for name, frame in tables.items()
        if len(frame) and (column is None or frame[column].notna().any())
    ]
    return spec.get("note", "") if [target] == (having[:1] or [""]) else ""


def _column(given: str | Mapping, metric: str) -> Column:
    """Return a column of page.yaml: its name, or its name and how it differs from `columns`."""
    ((name, more),) = given.items() if isinstance(given, dict) else [(given, {})]
    more = {"head": more} if isinstance(more, str) else more
    known = {"head": name} | COLUMNS.get(name, {}) | more
    return Column(name, **known | {"head": known["head"].format(metric=metric)})


def _pictures(inputs: Inputs, part: Mapping, target: str) -> list[dict]:
    """Return the figures of a section, or those of no other section, as the page shows them."""
    placed = {other.get("category") for other in PARTS}
    shown, first_of = [], {}
    for picture in inputs.pictures:
        if picture.target in inputs.ranked:
            first_of.setdefault(picture.figure.name, picture.target)
        figure, here = picture.figure, picture.figure.category == part.get("category")
        other = part["id"] == "more" and figure.category not in placed
        if picture.target != target or not (target or here or other):
            continue
        if figure.name == "layers" and _is_one_layer(inputs, target):
            continue
        uri, width, height = draw.picture(picture.path)
        where = "/".join(filter(None, ("figures", target, figure.name)))
        shown.append(
            {
                "figure": figure,
                # The title has said so already.
                "caption": figure.caption.removeprefix(f"{figure.title} of the paper. "),
                "as_for": first_of.get(figure.name, target),  # whose figure has the caption
                "uri": Markup(uri),
                "width": width,
                "height": height,
                "where": f"{where}.pdf, {where}.csv",
            }
        )
    return shown


# --- tables that are not shown as they are, with a run's table of that name ---


def _with_scores(ranking: pd.DataFrame, inputs: Inputs, target: str) -> pd.DataFrame:
    """Return a ranking in its order, with the scores of fine-tuning where there are any."""
    ranking, scores = ranking.sort_values("rank", kind="stable"), inputs.table("scores", target)
    if scores.empty:
        return ranking
    reached = scores[["model", "score", "score_sd", "metric"]]
    return ranking.merge(reached, on="model", how="left")


def _first_advice(advice: pd.DataFrame, inputs: Inputs, target: str) -> pd.DataFrame:
    """Return the first rows of the advice, with their ranks by RSA and scores of fine-tuning."""
    ranking, scores = inputs.table("ranking", target), inputs.table("scores", target)
    by_rsa = ranking[["model", "rank"]].rename(columns={"rank": "rank_by_rsa"})
    found = advice.head(FEW).merge(by_rsa, on="model", how="left")
    if scores.empty:
        return found
    return found.merge(scores[["model", "score", "score_sd"]], on="model", how="left")


def _wide_measures(_: pd.DataFrame, inputs: Inputs, target: str) -> pd.DataFrame:
    """Return one row a network, in the order of the advice, and one of the constant answer, with a
    column for each measure that has a score."""
    rows = at_layer(inputs, target)
    wide = rows.pivot(index="model", columns="measure", values="score")
    wide = wide[list(dict.fromkeys(rows["measure"]))].add_prefix(MEASURED)
    wide = wide.reindex(inputs.table("advice", target)["model"]).reset_index()
    chance = rows.dropna(subset="chance").groupby("measure")["chance"].mean().add_prefix(MEASURED)
    constant = {"model": "", "label": "constant answer", **chance}
    return pd.concat([wide, pd.DataFrame([constant] if len(chance) else [])], ignore_index=True)


def _first_ranks(ranking: pd.DataFrame, inputs: Inputs, target: str) -> pd.DataFrame:
    return _with_scores(ranking, inputs, target).head(FEW)


def _all_ranks(ranking: pd.DataFrame, inputs: Inputs, target: str) -> pd.DataFrame:
    """Return the ranking, or nothing where all of it stands beside the answer."""
    stands = inputs.table("advice", target).empty and len(ranking) <= FEW
    return _with_scores(ranking.head(0) if stands else ranking, inputs, target)


def _choice(frame: pd.DataFrame, inputs: Inputs, target: str) -> pd.DataFrame:
    digits = [0 if name == "choice_rank" else 3 for name in frame["statistic"]]
    return _labelled(frame.assign(digits=digits), inputs, target)


def _labelled(frame: pd.DataFrame, inputs: Inputs, target: str) -> pd.DataFrame:
    """Return a table with the labels of networks that are trained from scratch."""
    labels = dict(inputs.table("scores", target)[["model", "label"]].itertuples(index=False))
    return frame.assign(label=[labels.get(model, model) for model in frame["model"]])


def _taps(frame: pd.DataFrame, inputs: Inputs, target: str) -> pd.DataFrame:
    """Return one row a network that was fine-tuned at both taps."""
    wide = frame.pivot_table(index="model", columns="tap", values="score", sort=False)
    return wide.dropna().reset_index()


def _means(frame: pd.DataFrame, inputs: Inputs, target: str) -> pd.DataFrame:
    """Return means over tasks of a table of robustness, with 95 % of the draws."""
    rows, means = [], frame[frame["task"] == "mean"]
    for (setting, reference), group in means.groupby(["value", "reference"], sort=False):
        drawn = group["spearman"].to_numpy()
        row = {"value": setting, "reference": reference, "draws": len(drawn)}
        row["spearman"] = group["spearman"].mean()
        if len(drawn) > 1:
            row["spearman_low"], row["spearman_high"] = confidence_interval(drawn)
        rows.append(row)
    return pd.DataFrame(rows).sort_values("value", kind="stable")


def _is_combination(frame: pd.DataFrame) -> pd.Series:
    """Tell which rows of a table of the study are of several measures."""
    return frame["measures"].fillna("").str.contains(" ")


def _at_the_tap(by_target: pd.DataFrame, inputs: Inputs, *_) -> pd.DataFrame:
    """Return the rows of single measures at the tap, with the labels that the summary gives."""
    summary = inputs.table("study_summary")
    at_tap = summary[~_is_combination(summary) & summary["layer"].fillna("").isin(["", TAP])]
    return by_target.merge(at_tap[["method", "label"]], on="method")


def _is_one_layer(inputs: Inputs, target: str) -> bool:
    """Tell whether the table of layers is the ranking once more: one layer and no ceiling."""
    layers = inputs.table("layers", target)
    ceiling = layers.reindex(columns=["ceiling_low"])["ceiling_low"]
    return len(layers) and layers["layer"].nunique() == 1 and ceiling.isna().all()


def _layers(layers: pd.DataFrame, inputs: Inputs, target: str) -> pd.DataFrame:
    return layers.head(0) if _is_one_layer(inputs, target) else layers


# Columns that a table has one of for each measure.
EACH = {
    "advice": lambda frame: [
        {f"{PREFIX}{name}": {"head": f"by {measure_label(name)}", "digits": 1, "ends": "none"}}
        for name in measures_of(frame)
    ],
    "measures": lambda frame: [
        {name: {"head": measure_label(name.removeprefix(MEASURED)), "digits": 3}}
        for name in frame.columns
        if name.startswith(MEASURED)
    ],
}

DERIVED = {
    "first_advice": _first_advice,
    "measures": _wide_measures,
    "first_ranks": _first_ranks,
    "all_ranks": _all_ranks,
    "layers": _layers,
    "choice": _choice,
    "curves": _labelled,
    "taps": _taps,
    **{f"robustness_{factor}": _means for factor in ("images", "width", "stage", "seed")},
    # Targets of which the similarities are given have one row for each method.
    "selection_means": lambda frame, *_: frame[
        (frame["target"] == "mean") | ~frame["affinities"].isin(TRUTHS)
    ],
    "selection_targets": lambda frame, *_: frame[
        (frame["method"] == "rsa")
        & (frame["target"] != "mean")
        & (frame["affinities"] != WIN_RATES)
    ],
    "study_baselines": lambda frame, *_: frame[~_is_combination(frame)],
    "study_combinations": lambda frame, *_: frame[_is_combination(frame)].head(FEW),
    "study_targets": _at_the_tap,
    "tasks": lambda frame, *_: frame[~frame["included"].astype(bool)],
}


# --- tables that the page makes ---


def _first_choices(inputs: Inputs) -> pd.DataFrame:
    rows = []
    for target in inputs.ranked:
        choice, tuned = choice_of(inputs, target), tuned_of(inputs, target)
        row = {"target": target, "kind": inputs.config.targets[target].kind, "model": choice.take}
        row |= {"basis": choice.basis, "tied": 1 + len(choice.others)}
        for score in tuned.loc[tuned["model"] == choice.take, "score"] if len(tuned) else ():
            row |= {"score": score, "metric": metric_of(inputs, target)}
        rows.append(row)
    return pd.DataFrame(rows)


def _seeds(inputs: Inputs) -> pd.DataFrame:
    found: dict[str, Sequence[int]] = {"the run": [inputs.config.seed]}
    if len(inputs.table("small_vs_bank")):
        found["small models"] = inputs.config.small.seeds
    for target in inputs.ranked:
        config = inputs.config.targets[target]
        if config.kind not in UNLABELLED:
            found[f"small models of {target}"] = config.small.seeds
        if config.finetune != "none":
            found[f"fine-tuning on {target}"] = config.seeds
    return _pairs("what", "seeds", {k: ", ".join(map(str, n)) for k, n in found.items()})


def _versions(inputs: Inputs) -> pd.DataFrame:
    found = {"Python": platform.python_version()}
    for name in inputs.packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    found["machine"] = f"{platform.system()} {platform.machine()}"
    return _pairs("name", "version", found)


def _pairs(first: str, second: str, pairs: Mapping) -> pd.DataFrame:
    return pd.DataFrame(pairs.items(), columns=[first, second])


MADE = {
    "first_choices": _first_choices,
    "claims": lambda inputs: pd.DataFrame(inputs.claims),
    "stages": lambda inputs: pd.DataFrame(by_stage(inputs.jobs)),
    "disk": lambda inputs: _pairs("folder", "bytes", inputs.disk),
    "networks": lambda inputs: inputs.networks,
    "hashes": lambda inputs: _pairs("what", "sha256", inputs.digests),
    "seeds": _seeds,
    "versions": _versions,
}


# --- what sections have besides claims, figures and tables ---


def _target(section: Section, inputs: Inputs, target: str) -> None:
    section.id, section.title = f"target-{target}", f"Target {target}"
    curves, scores = inputs.table("curves", target), inputs.table("scores", target)
    if scores.empty:
        return
    first = scores.iloc[0]
    if inputs.config.targets[target].scores:
        section.lead = [
            f"Scores are the published {metric_of(inputs, target)} of Taskonomy's networks on the "
            f"{first['n_val']:,.0f} test images of Pascal VOC 2012; a constant answer has at most "
            f"{number(first['chance_score'], 3)}."
        ]
        return
    section.lead = [
        f"Scores are {metric_of(inputs, target)} on {first['n_val']:.0f} validation images; "
        f"chance, that of the best constant answer, is {number(first['chance_score'], 3)}."
    ]
    # Start and end alone make no curve; the table has them.
    if len(curves) and curves[curves["step"] > 0].groupby(["model", "seed"]).size().max() > 1:
        section.curves = _panels(inputs, _labelled(curves, inputs, target), first["chance_score"])


def _panels(inputs: Inputs, curves: pd.DataFrame, chance: float) -> list[tuple[str, Markup]]:
    """Return a panel of learning curves for each network, on one scale of scores."""
    # A score is blank where the validation images have no class in common.
    curves, panels = curves.dropna(subset="score"), []
    ends = min(chance, curves["score"].min()), max(chance, curves["score"].max())
    for (model, label), rows in curves.groupby(["model", "label"], sort=False):
        title = inputs.styles[model].label if model in inputs.styles else label
        lines = {
            f"seed {seed}": list(zip(run["step"], run["score"], strict=True))
            for seed, run in rows.groupby("seed", sort=False)
        }
        svg = draw.curves(lines, ends, rows["step"].max(), title, chance)
        panels.append((title, Markup(svg)))
    return panels


def _taxonomy(section: Section, inputs: Inputs, _: str) -> None:
    similarity, tree = inputs.table("similarity"), inputs.tree
    layers = layer_order(similarity["layer"])
    drawn = layers if len(inputs.networks) <= MANY else [inputs.layer]
    order = [tree.leaves[at] for at in leaves_list(tree.linkage)] if tree else []
    order = list(dict.fromkeys([*order, *inputs.styles]))
    for layer in drawn:
        rows, title = similarity[similarity["layer"] == layer], layer_label(layer)
        svg = draw.matrix(rows, order, inputs.styles, title)
        section.matrices = [*section.matrices, (layer, title, Markup(svg))]
    section.lead = [
        "Two networks are alike if their representational dissimilarity matrices (RDMs) over the "
        "same images have a high rank correlation. Point at a cell for its numbers.",
        *(about_bank(inputs)[1] if inputs.ranked else ()),
    ]
    if len(drawn) < len(layers):
        section.lead.append(f"With more than {MANY} networks only {place(inputs.layer)} is drawn.")
    if tree:
        linkage = "the paper's" if tree.method == "paper" else tree.method
        section.tree_title = f"Tree at {place(inputs.layer)}, {linkage} linkage"
        section.tree = Markup(draw.tree(tree.linkage, tree.leaves, inputs.styles))


_IMAGES = {
    "simulated": "a simulated indoor world",
    "rgbd": "RGB-D photographs",
    "taskonomy": "Taskonomy's photographs",
}


def _claims(section: Section, inputs: Inputs, _: str) -> None:
    source = inputs.config.source
    loaders = set(inputs.networks["loader"])
    about = (
        f"These networks were trained here on {_IMAGES.get(source, f'images of {source}')}; the "
        "published numbers are about Taskonomy's. A verdict says whether a claim carries over to "
        "these networks, not whether the paper's number is reproduced."
    )
    if loaders == {"taskonomy"}:
        about = "These are Taskonomy's own networks, those of the published numbers."
    elif loaders == {RDMS}:
        about = (
            "The RDMs of these networks were made elsewhere; a verdict is about them, whether or "
            "not they are those of the paper."
        )
    elif source == "simulated":
        about += " A simulated world is artificial and says nothing about photographs."
    verdicts = [row["verdict"] for row in inputs.claims]
    holds, fails, open_ = (verdicts.count(verdict) for verdict in VERDICTS)
    section.lead = [
        "Dwivedi and Roig, Representation Similarity Analysis for Efficient Task taxonomy & "
        f"Transfer Learning, CVPR 2019. {about}",
        *filter(None, [inputs.config.note]),
        f"Of {len(verdicts)} numbers, {holds} hold, {fails} do not, {open_} cannot be compared.",
    ]


def _cost(section: Section, inputs: Inputs, _: str) -> None:
    if not inputs.jobs:
        section.lead = ["No job of this run was timed."]
        return
    cpu = sum(job.cpu_s or 0 for job in inputs.jobs)
    peak = max(job.peak_mb or 0 for job in inputs.jobs)
    said = (
        f"{len(inputs.jobs)} timed jobs took {amount(cpu / 60)} CPU minutes in all; the largest "
        f"used {amount(peak)} MiB of memory"
    )
    if inputs.disk:
        said += f", and the results take {size(sum(inputs.disk.values()))} on disk"
    section.lead = [f"{said}. Jobs of a few seconds are not timed."]


def _left_out(section: Section, inputs: Inputs, _: str) -> None:
    section.lines = inputs.left_out


def _made_from(section: Section, inputs: Inputs, _: str) -> None:
    shown = dict(inputs.settings)
    section.config = yaml.safe_dump(shown, sort_keys=False, allow_unicode=True, width=96)


MORE = {
    "target": _target,
    "taxonomy": _taxonomy,
    "claims": _claims,
    "cost": _cost,
    "left-out": _left_out,
    "made-from": _made_from,
}
