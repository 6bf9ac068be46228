"""The page: sections in the order of the paper, ours beside the published values."""

from __future__ import annotations

import math
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import jinja2
import numpy as np
import pandas as pd
import yaml
from markupsafe import Markup

from taskrsa.errors import DataError
from taskrsa.figures.style import ModelStyle, layer_label, layer_order, task_style
from taskrsa.io.costs import Job, by_stage
from taskrsa.paper.claims import FAILS, HOLDS, OPEN
from taskrsa.report import draw, view
from taskrsa.report.answer import Answer, answer
from taskrsa.report.view import Cell, Column, Table, table_of

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Picture:
    """A figure of a run: its title, the caption it shares with other reports, what it shows."""

    title: str
    caption: str
    alt: str


PICTURES = {
    "figure4": Picture(
        "Figure 4", "figure4", "Matrix of similarities of all networks, and their tree."
    ),
    "figure5": Picture(
        "Figure 5", "figure5", "Six matrices of similarities, from block 1 to the labels."
    ),
    "type_separation": Picture(
        "Types by depth",
        "type_separation",
        "Lines of mean similarity within and between task types against depth.",
    ),
    "label_agreement": Picture(
        "Labels against networks",
        "label_agreement",
        "Similarity of networks against similarity of their labels, one point a pair of tasks.",
    ),
    "figure6": Picture("Figure 6", "figure6", "Two trees of tasks, ours and that of transfer."),
    "figure6_published": Picture(
        "Figure 6, published affinities",
        "figure6_published",
        "Two trees of tasks, ours and Taskonomy's own.",
    ),
    "figure7": Picture(
        "Figure 7",
        "figure7",
        "Bars of similarity to every network, two small models beside two big.",
    ),
    "figureS1": Picture(
        "Figure S1", "figureS1", "Bars of similarity to every network, for each small model."
    ),
    "figureS3": Picture(
        "Figure S3", "figureS3", "Two matrices of similarities, of small models and of the bank."
    ),
    "affinity": Picture("Transfer affinities", "affinity", "Matrix of sources and targets."),
    "selection": Picture(
        "Similarity against transfer",
        "selection",
        "Correlation with transfer for each target and each measure of similarity.",
    ),
    "figure8": Picture(
        "Figure 8", "figure8", "Bars of every network's similarity to the new task's small model."
    ),
    "target_ranking": Picture(
        "The ranking, drawn",
        "own_ranking",
        "Bars of every network's similarity to the small models of the target.",
    ),
    "table2": Picture(
        "Table 2, drawn", "table2", "Fine-tuned mIoU against similarity, one point a network."
    ),
    "choice": Picture(
        "What choosing gains",
        "table2_choice",
        "mIoU of the first choice beside other ways to choose.",
    ),
    "robustness_images": Picture(
        "By number of images", "robustness", "Correlation of rankings against number of images."
    ),
    "robustness_width": Picture(
        "By size of the small model", "robustness", "Correlation of rankings against width."
    ),
    "robustness_stage": Picture(
        "By stage of training", "robustness", "Correlation of rankings against share of the steps."
    ),
    "robustness_seed": Picture("By seed", "robustness", "Correlation of rankings between seeds."),
    "presets": Picture(
        "Choices of method", "presets", "Change of the similarities by each choice of method."
    ),
    "quality": Picture(
        "What the bank learnt",
        "quality",
        "Share of the constant predictor's error removed, by task.",
    ),
    "learning_curves": Picture(
        "Learning curves", "learning_curves", "Training and validation loss by step, for each task."
    ),
}


@dataclass(frozen=True)
class Inputs:
    """All that a page is made from; paths are only read.

    `tables` by name, with "bank_quality" and "small_quality" for the two tables of that name;
    `claims` as rows; `pictures` and `captions` by name; `linkage` (m - 1, 4) with its m `leaves`;
    `settings` is the whole config; `digests` says what data the run saw; `disk` is bytes by folder.
    """

    tables: Mapping[str, pd.DataFrame]
    claims: Sequence[Mapping]
    pictures: Mapping[str, Path]
    captions: Mapping[str, str]
    linkage: np.ndarray
    leaves: Sequence[str]
    settings: Mapping
    digests: Mapping[str, str]
    packages: Sequence[str]
    jobs: Sequence[Job] = ()
    disk: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Section:
    """A section of the page; `svgs` are (title, SVG) with a key to their colours in `scale`."""

    id: str
    title: str
    lead: str = ""
    claims: Sequence[Mapping] = ()
    pictures: Sequence[Mapping] = ()
    tables: Sequence[Table] = ()
    matrices: Sequence[tuple[str, str, Markup]] = ()
    tree: Markup | None = None
    config: str = ""
    matrix_where: str = "tables/similarity.csv"
    tree_title: str = "Tree at the compressed output"
    type_key: bool = True  # the paper's four types and their colours
    curves: Sequence[tuple[str, Markup]] = ()  # panels with their titles
    curves_title: str = ""


def render(inputs: Inputs) -> str:
    """Return the page as HTML.

    Raises
    ------
    DataError
        If a picture cannot be read or a table lacks what the page needs of it.
    """
    styles = _styles(inputs.tables)
    try:
        sections = _sections(inputs, styles)
        first = answer(inputs.tables, inputs.claims, styles)
    except KeyError as error:
        raise DataError(f"a table of the report lacks {error}; make the tables again") from None
    meaning = _meaning(inputs.settings)
    return html(inputs.settings["run"], first, sections, inputs.claims, meaning)


def html(
    run: str,
    first: Answer,
    sections: Sequence[Section],
    claims: Sequence[Mapping] = (),
    meaning: str = "",
    shown_layer: str = "compressed",
) -> str:
    """Return a page as HTML: the answer, the paper's claims if there are any, the sections.

    Parameters
    ----------
    meaning : what the verdicts on the claims are about
    shown_layer : whose similarity matrix is seen first
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    verdicts = {name: sum(row["verdict"] == name for row in claims) for name in _MARKS}
    return environment.get_template("page.html.j2").render(
        run=run,
        meaning=meaning,
        answer=first,
        claims=claims,
        verdicts=verdicts,
        marks=_MARKS,
        sections=sections,
        shown_layer=shown_layer,
        scale=draw.scale(),
        view=view,
        css=Markup((TEMPLATES / "page.css").read_text(encoding="utf-8")),
        script=Markup((TEMPLATES / "page.js").read_text(encoding="utf-8")),
    )


# A sign and a class for each verdict: colour is never all there is to tell them by.
_MARKS = {HOLDS: ("\N{CHECK MARK}", "holds"), FAILS: ("\N{MULTIPLICATION X}", "fails")} | {
    OPEN: ("\N{EN DASH}", "open")
}


def _styles(tables: Mapping[str, pd.DataFrame]) -> dict[str, ModelStyle]:
    similarity = tables["similarity"]
    names = [*similarity["model_a"], *similarity["model_b"]]
    given = {
        row.model: (row.label, row.type)
        for table in ("figure8", "table2")
        for row in tables.get(table, pd.DataFrame()).itertuples()
    }
    return task_style(dict.fromkeys([*names, *given]), given)


def _source(settings: Mapping) -> str:
    names = {
        "simulated": "a simulated indoor world",
        "rgbd": "RGB-D photographs",
        "taskonomy": "photographs of Taskonomy",
        "folder": "photographs",
    }
    return names.get(settings["source"], settings["source"])


def _meaning(settings: Mapping) -> str:
    """Say what the verdicts are about."""
    if settings.get("bank", {}).get("source") == "taskonomy":
        return "The bank is Taskonomy's own, so the published numbers are about these networks."
    text = (
        f"The networks were trained here on {_source(settings)}; the published numbers are "
        "Taskonomy's. A verdict says whether a claim carries over to these networks, not whether "
        "the paper's number repeats."
    )
    if settings["source"] == "simulated":
        text += " A simulated world is designed: it says nothing about photographs."
    return text


# --- sections ---


def _sections(inputs: Inputs, styles: Mapping[str, ModelStyle]) -> list[Section]:
    """Return the sections that have anything in them, in the paper's order."""
    t, placed = inputs.tables, set()

    def claims(*ids: str) -> list[Mapping]:
        return [row for row in inputs.claims if row["claim"] in ids]

    def pictures(*names: str) -> list[dict]:
        placed.update(names)
        return [shown_picture(name, inputs) for name in names if name in inputs.pictures]

    def tables(*wanted: Table | None) -> list[Table]:
        return [table for table in wanted if table is not None]

    def frame(name: str) -> pd.DataFrame:
        return t.get(name, pd.DataFrame())

    layers = layer_order(t["similarity"]["layer"])
    matrices = [
        (
            layer,
            layer_label(layer),
            Markup(
                draw.matrix(
                    t["similarity"][t["similarity"]["layer"] == layer], styles, layer_label(layer)
                )
            ),
        )
        for layer in layers
    ]
    found = [
        Section(
            "taxonomy",
            "Task similarity and tree (section 6.1, Figure 4)",
            "How alike two networks are is the rank correlation of their representation "
            "dissimilarity matrices over the same images. Point at a cell for its numbers.",
            claims("C1"),
            pictures("figure4"),
            [],
            matrices,
            Markup(draw.tree(inputs.linkage, inputs.leaves, styles)),
        ),
        Section(
            "depth",
            "By depth, and of the labels (Figure 5)",
            "",
            claims("C2", "C3"),
            pictures("figure5", "type_separation", "label_agreement"),
            tables(_separation(frame("type_separation")), _labels(frame("label_agreement"))),
        ),
        Section(
            "transfer-tree",
            "Beside the tree of transfer (Figure 6)",
            "",
            claims("C4"),
            pictures("figure6", "figure6_published"),
            tables(_taxonomy(frame("taxonomy_agreement"))),
        ),
        Section(
            "small",
            "Small models on little data (section 6.2, Figures 7, S1, S3)",
            "",
            claims("C5", "C6"),
            pictures("figure7", "figureS1", "figureS3"),
            tables(
                _small(frame("small_vs_bank"), styles),
                _small_matrices(frame("small_agreement")),
                _rankings(frame("figure7"), styles),
            ),
        ),
        Section(
            "selection",
            "Similarity predicts transfer (section 6.3, Table 1)",
            "",
            claims("C7", "C8"),
            pictures("selection", "affinity"),
            tables(
                _table1(frame("table1")),
                _selection_means(frame("selection")),
                _selection_targets(frame("selection"), styles),
            ),
        ),
        Section(
            "new-task",
            "A new task: the ranking (Figure 8)",
            "",
            claims("C9"),
            pictures("figure8"),
        ),
        Section(
            "fine-tuning",
            "A new task: fine-tuning (Table 2)",
            "",
            claims("C10"),
            pictures("table2", "choice"),
            tables(
                _table2(frame("table2"), styles),
                _prediction(frame("table2_prediction")),
                _choice(frame("table2_choice"), styles),
                _taps(frame("taps"), styles),
            ),
        ),
        Section(
            "robustness",
            "What the rankings hang on (supplement S3)",
            "",
            claims("C11"),
            pictures(*(name for name in PICTURES if name.startswith("robustness_"))),
            tables(
                *(
                    _robustness(frame(name), name)
                    for name in PICTURES
                    if name.startswith("robustness_")
                )
            ),
        ),
        Section(
            "method",
            "Choices of method",
            "",
            (),
            pictures("presets"),
            tables(_presets(frame("presets"))),
        ),
        Section(
            "learning",
            "What the networks learnt",
            "A network that learnt nothing of its task ranks by what it sees instead: read its "
            "rows with that in mind.",
            (),
            pictures("quality", "learning_curves"),
            tables(
                _quality(frame("bank_quality"), styles, "The bank's networks", "bank/quality.csv"),
                _quality(frame("small_quality"), styles, "The small models", "small/quality.csv"),
                _left_out(frame("tasks")),
            ),
        ),
    ]
    more = [name for name in inputs.pictures if name not in placed]
    found += [
        Section("more", "More figures", "", (), pictures(*more)),
        cost_section(inputs, "What it cost (claim C12)", claims("C12")),
        made_from(inputs, _seeds(inputs.settings)),
    ]
    filled = [s for s in found if s.pictures or s.tables or s.matrices or s.claims or s.config]
    return filled


def shown_picture(name: str, inputs: Inputs) -> dict:
    """Return a figure as the page shows it, with its caption."""
    known = PICTURES.get(name, Picture(name.replace("_", " "), name, "A figure of the run."))
    uri, width, height = draw.picture(inputs.pictures[name])
    return {
        "title": known.title,
        # The title has said so already.
        "caption": inputs.captions.get(known.caption, "").removeprefix(
            f"{known.title} of the paper. "
        ),
        "alt": f"{known.title}. {known.alt}",
        "uri": Markup(uri),
        "width": width,
        "height": height,
        "where": f"figures/{name}.pdf, figures/{name}.csv",
    }


def caption(text: str) -> str:
    """Return a caption file as one line of plain text; the project's captions have no markup."""
    return " ".join(text.split())


def _separation(frame: pd.DataFrame) -> Table | None:
    columns = [
        view.text("layer", "layer"),
        view.text("control", "partialled out"),
        view.value("within", "within a type"),
        view.value("between", "between types"),
        view.value("difference", "difference"),
        view.p("p"),
        view.value("ari_average", "Rand index, average linkage"),
        view.value("ari_paper", "paper's linkage"),
        view.value("random_mean", "random weights"),
    ]
    where = "tables/type_separation.csv"
    return table_of(frame, "Similarity within and between task types", columns, where, True)


def _labels(frame: pd.DataFrame) -> Table | None:
    columns = [
        view.text("layer", "layer"),
        view.value("spearman", "Spearman"),
        view.value("pearson", "Pearson"),
        view.p("p"),
        view.count("n_models", "tasks"),
    ]
    where = "tables/label_agreement.csv"
    return table_of(frame, "Networks' similarity against their labels'", columns, where)


def _correlations() -> list[Column]:
    return [
        view.with_interval("pearson", "Pearson"),
        view.with_interval("spearman", "Spearman"),
    ]


def _taxonomy(frame: pd.DataFrame) -> Table | None:
    columns = [
        view.text("affinities", "affinities"),
        view.text("normalisation", "normalised by"),
        view.count("n_tasks", "tasks"),
        *_correlations(),
        view.p("spearman_p"),
    ]
    if "spearman_p" not in frame:
        columns.pop()
    where = "tables/taxonomy_agreement.csv"
    return table_of(frame, "Agreement with the similarity that transfer implies", columns, where)


def _small(frame: pd.DataFrame, styles: Mapping[str, ModelStyle]) -> Table | None:
    columns = [
        view.model(styles, "task", "small model of"),
        view.text("own_task", "its own network"),
        *_correlations(),
        view.interval("ceiling_low", "ceiling_high", "noise ceiling", 2),
        view.value("rs_own", "similarity to its own network"),
    ]
    where = "tables/small_vs_bank.csv"
    return table_of(frame, "Rankings by small models against the bank's", columns, where)


def _small_matrices(frame: pd.DataFrame) -> Table | None:
    columns = [
        view.text("seeds", "seed"),
        *_correlations(),
        view.p("p"),
        view.count("n_tasks", "tasks"),
    ]
    where = "tables/small_agreement.csv"
    return table_of(frame, "Matrix of small models against the bank's", columns, where)


def _rankings(frame: pd.DataFrame, styles: Mapping[str, ModelStyle]) -> Table | None:
    columns = [
        view.model(styles, "model", "small model of"),
        view.model(styles, "other", "network"),
        view.with_interval("rs_small", "small model", "small_low", "small_high"),
        view.with_interval("rs_bank", "bank's network", "bank_low", "bank_high"),
        view.p("q_small", "q"),
    ]
    return table_of(frame, "All rankings (Figure S1)", columns, "tables/figure7.csv", True)


def _table1(frame: pd.DataFrame) -> Table | None:
    columns = [
        view.text("label", "first choice by"),
        *(view.with_interval(f"top{n}", f"in the best {n}", digits=0) for n in (1, 3, 5)),
        view.count("n", "targets"),
    ]
    title = "Table 1: targets whose first choice is among the best by transfer"
    return table_of(frame, title, columns, "tables/table1.csv")


def _selection_means(frame: pd.DataFrame) -> Table | None:
    if frame.empty:
        return None
    columns = [
        view.text("label", "similarity by"),
        *_correlations(),
        view.with_interval("spearman_less_rsa", "Spearman less RSA's"),
        view.count("n_targets", "targets"),
    ]
    means = frame[frame["target"] == "mean"]
    title = "Correlation with transfer, mean over targets"
    return table_of(means, title, columns, "tables/selection.csv")


def _selection_targets(frame: pd.DataFrame, styles: Mapping[str, ModelStyle]) -> Table | None:
    if frame.empty:
        return None
    rsa = frame[(frame["method"] == "rsa") & (frame["target"] != "mean")]
    columns = [
        view.model(styles, "target", "target"),
        *_correlations(),
        view.model(styles, "choice", "first choice"),
        view.count("choice_rank", "its rank by transfer"),
    ]
    return table_of(rsa, "Target by target, by RSA", columns, "tables/selection.csv", True)


def _table2(frame: pd.DataFrame, styles: Mapping[str, ModelStyle]) -> Table | None:
    columns = [
        view.model(styles),
        view.text("type", "type"),
        view.with_interval("rs", "similarity"),
        view.count("rank", "rank"),
        view.value("miou_mean", "mIoU", 3),
        view.value("miou_sd", "sd, seeds", 3),
        view.count("miou_rank", "rank by mIoU"),
        view.value("miou_published", "published mIoU", 3),
    ]
    title = "Table 2: similarity and fine-tuned mIoU"
    return table_of(frame, title, columns, "tables/table2.csv")


def _prediction(frame: pd.DataFrame) -> Table | None:
    columns = [
        view.text("ranking", "ranking by"),
        view.with_interval("spearman", "Spearman"),
        view.p("spearman_p"),
        view.with_interval("kendall", "Kendall"),
        view.with_interval("pearson", "Pearson"),
        view.value("seeds_agree", "seeds agree"),
        view.count("n_models", "networks"),
    ]
    title = "Does the ranking predict fine-tuned mIoU?"
    return table_of(frame, title, columns, "tables/table2_prediction.csv")


def _choice(frame: pd.DataFrame, styles: Mapping[str, ModelStyle]) -> Table | None:
    if frame.empty:
        return None
    names = {
        "choice": "first choice",
        "own": "the domain's own task",
        "random": "random weights",
        "random_small": "random weights, small encoder",
        "regret": "best less choice",
        "gain_over_mean": "choice less mean",
        "gain_over_own": "choice less own task",
        "gain_over_random": "choice less random weights",
        "choice_rank": "rank of the choice by mIoU",
    }
    frame = frame.assign(what=[names.get(name, name) for name in frame["statistic"]])
    # A rank is no mIoU: whole numbers only.
    ranks = frame["statistic"] == "choice_rank"

    def digits(row: Mapping) -> int:
        return 0 if row["statistic"] == "choice_rank" else 3

    def shown(row: Mapping) -> Cell:
        text = view.estimate(row["value"], row["low"], row["high"], digits(row))
        return Cell(text, view.sort_key(row["value"]))

    def published(row: Mapping) -> Cell:
        text = view.number(row["published"], digits(row))
        return Cell(text, view.sort_key(row["published"]))

    columns = [
        view.text("what", "mIoU of"),
        Column("ours", shown),
        Column("published", published),
        view.model(styles) if not frame["model"].isna().all() else view.text("model", "network"),
    ]
    frame = pd.concat([frame[~ranks], frame[ranks]])
    frame = frame.assign(model=frame["model"].fillna(""))
    where = "tables/table2_choice.csv"
    return table_of(frame, "What choosing by similarity gains", columns, where)


def _taps(frame: pd.DataFrame, styles: Mapping[str, ModelStyle]) -> Table | None:
    if frame.empty:
        return None
    wide = frame.pivot_table(index="model", columns="tap", values="miou", sort=False)
    wide = wide.dropna().reset_index()
    columns = [view.model(styles), *(view.value(tap, tap, 3) for tap in wide.columns[1:])]
    title = "mIoU with the head at two taps, mean over seeds"
    return table_of(wide, title, columns, "tables/taps.csv")


def _robustness(frame: pd.DataFrame, name: str) -> Table | None:
    if frame.empty:
        return None
    means = frame[frame["task"] == "mean"]
    grouped = means.groupby(["value", "reference"], sort=False)["spearman"]
    rows = grouped.agg(
        spearman="mean",
        spearman_low=lambda x: x.quantile(0.025) if len(x) > 1 else math.nan,
        spearman_high=lambda x: x.quantile(0.975) if len(x) > 1 else math.nan,
        draws="count",
    ).reset_index()
    heads = {
        "robustness_images": "images",
        "robustness_width": "channels",
        "robustness_stage": "% of the steps",
        "robustness_seed": "seeds",
    }
    number = pd.to_numeric(rows["value"], errors="coerce").notna().all()
    first = view.count("value", heads[name]) if number else view.text("value", heads[name])
    columns = [
        first,
        view.text("reference", "compared with"),
        view.with_interval("spearman", "Spearman"),
        view.count("draws", "draws"),
    ]
    if number:
        rows["value"] = pd.to_numeric(rows["value"])
        rows = rows.sort_values("value", kind="stable")
    title = f"{PICTURES[name].title}: mean over tasks, 95 % of the draws"
    return table_of(rows, title, columns, f"tables/{name}.csv")


def _presets(frame: pd.DataFrame) -> Table | None:
    columns = [
        view.text("choice", "choice"),
        view.text("change", "change"),
        view.value("mean_abs_change", "mean change", 3),
        view.value("max_abs_change", "largest", 3),
        view.value("spearman", "Spearman", 3),
    ]
    title = "How far each choice moves the similarities"
    return table_of(frame, title, columns, "tables/presets.csv")


def _quality(
    frame: pd.DataFrame, styles: Mapping[str, ModelStyle], title: str, where: str
) -> Table | None:
    columns = [
        view.model(styles, "task", "task"),
        view.text("model", "network"),
        view.value("val_loss", "validation loss", 3),
        view.value("constant_loss", "ignoring the image", 3),
        Column(
            "error removed",
            lambda row: Cell(view.share(row["error_removed"]), view.sort_key(row["error_removed"])),
        ),
    ]
    return table_of(
        frame, f"{title}: validation loss", columns, where, title.startswith("The small")
    )


def _left_out(frame: pd.DataFrame) -> Table | None:
    if frame.empty:
        return None
    columns = [view.text("label", "task"), view.text("reason", "why", wide=True)]
    return table_of(frame[~frame["included"]], "Tasks left out", columns, "tables/tasks.csv")


# --- cost and provenance ---


def cost_section(
    inputs: Inputs, title: str, claims: Sequence[Mapping] = (), more: Sequence[Table] = ()
) -> Section:
    """Return the section on what the run's jobs took, by stage, and on its disk use."""
    found = [*more, _stages(inputs.jobs), _disk(inputs.disk)]
    shown = [table for table in found if table is not None]
    return Section("cost", title, _cost_lead(inputs), claims, [], shown)


def made_from(inputs: Inputs, seeds: Table | None) -> Section:
    """Return the section on hashes, seeds, versions and the whole config."""
    found = [_digests(inputs.digests), seeds, _versions(inputs.packages)]
    settings = yaml.safe_dump(dict(inputs.settings), sort_keys=False, allow_unicode=True, width=96)
    shown = [table for table in found if table is not None]
    return Section("made-from", "What it was made from", "", (), [], shown, config=settings)


def _cost_lead(inputs: Inputs) -> str:
    if not inputs.jobs:
        return "No job of this run was timed."
    cpu = sum(job.cpu_s or 0 for job in inputs.jobs)
    peak = max((job.peak_mb or 0 for job in inputs.jobs), default=0)
    text = (
        f"{len(inputs.jobs)} timed jobs took {view.amount(cpu / 60)} CPU-minutes in all, the "
        f"largest {view.amount(peak)} MiB of memory"
    )
    if inputs.disk:
        text += f"; the results take {view.size(sum(inputs.disk.values()))}"
    return f"{text}. Jobs that take seconds are not timed."


def _stages(jobs: Sequence[Job]) -> Table | None:
    stages = by_stage(jobs)
    rows = pd.DataFrame([vars(stage) for stage in stages])
    if rows.empty:
        return None

    def seconds(name: str, head: str) -> Column:
        return Column(head, lambda row: Cell(view.amount(row[name]), view.sort_key(row[name])))

    columns = [
        view.text("name", "stage"),
        view.count("jobs", "jobs"),
        seconds("cpu_s", "CPU-seconds"),
        seconds("wall_s", "wall seconds, summed"),
        seconds("peak_mb", "peak memory, MiB"),
    ]
    return table_of(rows, "By stage", columns, "benchmarks/")


def _disk(disk: Mapping[str, int]) -> Table | None:
    rows = pd.DataFrame([{"folder": name, "bytes": size} for name, size in disk.items()])
    columns = [
        view.text("folder", "folder"),
        Column("size", lambda row: Cell(view.size(row["bytes"]), view.sort_key(row["bytes"]))),
    ]
    return table_of(rows, "Disk", columns, "", True)


def _digests(digests: Mapping[str, str]) -> Table | None:
    rows = pd.DataFrame([{"what": what, "sha": sha} for what, sha in digests.items()])
    columns = [view.text("what", "data"), view.text("sha", "SHA-256", style="code")]
    return table_of(rows, "Hashes", columns)


def _seeds(settings: Mapping) -> Table | None:
    found = {
        "of the run": settings.get("seed"),
        "of the small models": settings.get("small", {}).get("seeds"),
        "of fine-tuning": settings.get("pascal", {}).get("seeds"),
        "of the new task's small models": settings.get("pascal", {}).get("small", {}).get("seeds"),
    }
    if not settings.get("pascal", {}).get("source"):
        found = {what: seeds for what, seeds in found.items() if "new task" not in what}
        found.pop("of fine-tuning")
    return seeds_table(found)


def seeds_table(found: Mapping[str, object]) -> Table | None:
    """Return a table of seeds: a number or several by what they are of, None left out."""
    rows = pd.DataFrame(
        [
            {
                "what": what,
                "seeds": ", ".join(map(str, seeds if isinstance(seeds, list) else [seeds])),
            }
            for what, seeds in found.items()
            if seeds is not None
        ]
    )
    return table_of(rows, "Seeds", [view.text("what", "seeds"), view.text("seeds", "numbers")])


def _versions(packages: Sequence[str]) -> Table | None:
    rows = [{"name": "Python", "version": platform.python_version()}]
    for name in packages:
        try:
            rows.append({"name": name, "version": version(name)})
        except PackageNotFoundError:
            rows.append({"name": name, "version": "not there"})
    rows.append({"name": "machine", "version": f"{platform.system()} {platform.machine()}"})
    columns = [view.text("name", "package"), view.text("version", "version")]
    return table_of(pd.DataFrame(rows), "Versions", columns)
