"""What a run ends with: tables, trees, figures, the page; and what it leaves out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from taskrsa.figures.registry import Registration, left_out, wanted
from taskrsa.plan.networks import FEWEST
from taskrsa.plan.plan import Plan
from taskrsa.plan.targets import BANK, OWN, Target
from taskrsa.text import first_few

_ROBUSTNESS = ("images", "width", "stage")
# Tables that only list, of the bank and of targets.
_LISTS = ("quality", "networks", "tasks", "presets", "affinity_measured", "robustness_seed")
_LISTS += (
    "images",
    "stimuli",
    "measures",
    "advice",
    "cost",
    "layers",
    "study_measures",
    "study_summary",
    "study_choice",
    "study_cost",
)
# Timings, hashes of images, and two long tables that no page shows.
_NOT_KEPT = ("cost", "images", "stimuli", "affinity_measured", "figure7")
_OF_THE_PAPER = (
    *("figure4", "figure5", "figure6", "figure7"),
    *("ranking", "scores", "type_separation"),
)


def bank_tables(plan: Plan) -> list[str]:
    """Return the tables about the bank, without those that only lead to others."""
    has, small = plan.has, bool(plan.small.tasks)
    factors = [*_ROBUSTNESS, *["seed"] * ("several seeds" in has)]
    names = {
        "bank/quality": "trained networks" in has,
        "small/quality": small,
        "tables/networks": True,
        "tables/tasks": bool(plan.reasons),
        "tables/similarity": True,
        "tables/type_separation": "types" in has,
        "tables/label_agreement": "labels" in has,
        "tables/presets": "choices" in has,
        "tables/figure7": small,
        "tables/small_vs_bank": small,
        "tables/small_agreement": small,
        **{f"tables/robustness_{factor}": small for factor in factors},
        "tables/robustness_images": small or (plan.have_queries and plan.have_claims),
        "tables/taxonomy_agreement": "affinities" in has,
        "tables/affinity_measured": "measured affinities" in has,
        "tables/selection": plan.have_selection,
        "tables/table1": plan.have_selection,
        "tables/study_measures": "study" in has,
        "tables/study_summary": "study" in has,
        "tables/study_choice": "study" in has,
        "tables/study_cost": "study" in has,
    }
    return [f"{plan.run}/{name}.csv" for name, there in names.items() if there]


def target_tables(plan: Plan) -> list[str]:
    return [path for target in plan.targets.values() for path in target.tables()]


def small_scores(plan: Plan) -> list[str]:
    """Return the scores of the small models of all targets."""
    return [path for target in plan.targets.values() for path in target.small_scores]


def curves(plan: Plan, runs: Callable[[Target, str], list[str]]) -> list[str]:
    """Return the learning curves of all targets; `runs` lists the scores at a tap."""
    return [
        path.replace("scores.csv", "learning_curve.csv")
        for target in plan.targets.values()
        for path in (*target.small_scores, *runs(target, target.config.tap))
    ]


def claims_tables(plan: Plan) -> list[str]:
    """Return the tables by which the paper's claims are judged, but those that only list."""
    tables = bank_tables(plan)
    if plan.paper_target:
        tables += plan.targets[plan.paper_target].tables()
    return [path for path in tables if Path(path).stem not in _LISTS]


def trees(plan: Plan) -> list[str]:
    """Return the trees, in Newick; none of two networks."""
    if len(plan.bank.networks) < FEWEST:
        return []
    return [
        f"{plan.run}/trees/{layer}_{linkage}.nwk"
        for layer in plan.compared
        for linkage in ("paper", "average")
    ]


def linkage(plan: Plan) -> list[str]:
    """Return the tree at the layer of the rankings, by the run's linkage; [] without trees."""
    chosen = f"/{plan.bank.layer}_{plan.choices['linkage']}.nwk"
    return [path.replace(".nwk", ".csv") for path in trees(plan) if path.endswith(chosen)]


def caption_of(table: str) -> str:
    """Return the name of a table's caption (workflow/report), {target} and {factor} left out."""
    name = table.removeprefix("tables/").replace("targets/{target}", "target").replace("/", "_")
    return "robustness" if name.startswith("robustness_") else name


def figures(plan: Plan) -> list[str]:
    """Return the files of every figure, in their order; of a target after those of the bank."""
    found = [path for one in wanted(plan.has) for path in _files_of(plan, one)]
    for name, target in plan.targets.items():
        for one in wanted(target.has, per_target=True):
            found += [path.format(target=name) for path in _files_of(plan, one)]
    return found


def _files_of(plan: Plan, figure: Registration) -> list[str]:
    files = figure.outputs(plan.run)
    return [*files.pop("texts"), *files.values()]


def pictures(plan: Plan) -> list[str]:
    return [path for path in figures(plan) if path.endswith(".png")]


def kept_tables(plan: Plan) -> list[str]:
    """Return the tables and trees that git keeps of a run: not all of them. Of a study, its own
    tables, what it cost among them, and the scores that they rest on."""
    if "study" in plan.has:
        own = [path for path in bank_tables(plan) if Path(path).stem.startswith("study_")]
        return own + [f"{plan.targets[name].folder}/runs.csv" for name in plan.study]
    found = [*bank_tables(plan), *target_tables(plan), *trees(plan)]
    return [path for path in found if Path(path).stem not in _NOT_KEPT]


def kept_pictures(plan: Plan) -> list[str]:
    """Return the pictures that git keeps: those of the paper or, of a study, its own."""
    kept = ("study",) if "study" in plan.has else _OF_THE_PAPER
    return [path for path in pictures(plan) if Path(path).stem in kept]


def everything(plan: Plan) -> list[str]:
    """Return all that a run makes by default."""
    return [
        f"{plan.run}/stimuli.csv",
        *bank_tables(plan),
        *trees(plan),
        *figures(plan),
        *target_tables(plan),
        *[f"{plan.run}/claims.csv"] * plan.have_claims,
        f"{plan.run}/report.html",
    ]


def cheap(plan: Plan) -> list[str]:
    """Return what needs no training of small models: similarity, trees, Figures 4 to 6."""
    drawn = [one for one in wanted(plan.has) if one.name in ("figure4", "figure5", "figure6")]
    return [
        f"{plan.run}/tables/similarity.csv",
        *(path for path in trees(plan) if f"/{plan.bank.layer}_" in path),
        *(path for one in drawn for path in _files_of(plan, one)),
    ]


def _not_on_own(target: Target) -> list[str]:
    """Say which networks a ranking on a target's own images lacks, or that there is none."""
    if target.config.stimuli == BANK or not target.is_labelled:
        return []
    others = [name for name in target.ranked if name not in target.own_ranked]
    if OWN not in target.stimuli:
        return [
            f"ranking on its own images: of {len(target.ranked)} networks, "
            f"{len(target.own_ranked)} can be shown them, and the others are RDMs of other images; "
            "it is made on the run's stimuli"
        ]
    if not others:
        return []
    return [f"ranking on its own images: {first_few(others)}, whose RDMs are of other images"]


def notes(plan: Plan) -> list[str]:
    """Return lines that a run prints at its start: what it leaves out and why."""
    return [*filter(None, [plan.fetching.note]), *(f"left out: {line}" for line in lacking(plan))]


def lacking(plan: Plan) -> list[str]:
    """Say what a run leaves out and why, a line each."""
    lines = [reason for reason in plan.reasons.values() if reason]
    bank = plan.bank
    lines += [f"network {name}: {reason}" for name, reason in bank.left_out.items()]
    for layer in bank.layers:
        without = [name for name in bank.networks if name not in bank.at(layer)]
        if layer not in plan.layers:
            lines.append(f"layer {layer}: fewer than {FEWEST} networks have it")
        elif without:
            lines.append(f"{', '.join(without)} at layer {layer}: not among their layers")
    # A study is a run of its own, which others do not lack.
    lines += left_out(plan.has | {"study"})
    if not plan.targets:
        lines.append("rankings for targets: the config has no targets")
    for name, target in plan.targets.items():
        # A labelled target does not lack what is of rows of the table.
        has = target.has | {"row"}
        lines += [f"target {name}, {line}" for line in left_out(has, per_target=True)]
        lines += [f"target {name}, {line}" for line in _not_on_own(target)]
        n, all_of = target.rounds[0].entrants if target.rounds else 0, len(target.trainable)
        if 0 < n < all_of:
            rest = all_of - n
            lines.append(
                f"target {name}, race: the last {rest} of {all_of} networks do not enter; a larger "
                "budget lets more in"
            )
    return lines
