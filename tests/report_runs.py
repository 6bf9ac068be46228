"""Runs to make pages of: the reference run, and made-up tables of a user's networks."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.cluster.hierarchy import linkage
from scipy.spatial.distance import squareform
from taskrsa.analysis.tables import similarity_square
from taskrsa.figures.registry import registered
from taskrsa.io.costs import Job
from taskrsa.io.files import read_tables
from taskrsa.paper.claims import Run, judge_all
from taskrsa.plan.config import parse
from taskrsa.report.inputs import Inputs, Picture, Tree
from taskrsa.targets.config import UNLABELLED

ROOT = Path(__file__).parents[1]
DEMO = ROOT / "results/reference/demo"
LABELS = {"small": "small model", "random": "untrained encoder"}
LABELLED = {"path": "here", "finetune": "all", "small": {"seeds": [4]}}


def settings(**more) -> dict:
    return {"run": "mine", "seed": 7, **more}


def tree_of(similarity: pd.DataFrame, layer: str) -> Tree | None:
    square = similarity_square(similarity, layer)
    if len(square) < 3:
        return None
    distances = squareform(1 - square.to_numpy(), checks=False)
    return Tree(linkage(distances, "average"), list(square.index), "average")


# --- a user's networks ---


def bank(
    n: int = 3,
    types: Sequence[str] = ("objects", "text"),
    layers: Sequence[str] = ("last",),
    targets: dict | None = None,
    label: str = "Net {}",
    **more,
) -> Inputs:
    """Return a run of n networks, most alike in order, ranked in order for each target.

    `targets` holds the config of each target; by default there is one, fine-tuned in full.
    """
    names = [f"n{at}" for at in range(n)]
    networks = pd.DataFrame(
        {
            "name": names,
            "label": [label.format(chr(65 + at) if n <= 26 else at) for at in range(n)],
            "type": [types[at % len(types)] if types else "" for at in range(n)],
            "loader": "timm:resnet18",
        }
    )
    if targets is None:
        targets = {"mine": {"kind": "segmentation", **LABELLED}}
    tables = {"similarity": _similarity(names, layers)}
    config = settings(targets=targets)
    given = {
        "config": parse(config)[0],
        "settings": config,
        "networks": networks,
        "layer": layers[-1],
        "tables": tables,
        "targets": {name: target_tables(networks, one) for name, one in targets.items()},
        "tree": tree_of(tables["similarity"], layers[-1]),
        "digests": {"24 stimuli": "ab" * 32},
        "packages": ["numpy", "no-such-package"],
        "jobs": [Job("rdms_bank_n0", 30, 15, 300), Job("train_target_mine_s4", 30, 15, 300)],
    }
    return Inputs(**given | more)


def _similarity(names: Sequence[str], layers: Sequence[str]) -> pd.DataFrame:
    pairs = list(combinations(names, 2))
    values = np.linspace(0.7, 0.1, len(pairs))
    return pd.DataFrame(
        [
            {"layer": layer, "model_a": a, "model_b": b, "rs": rs, "ci_low": rs - 0.1,
             "ci_high": rs + 0.1, "p": 0.01, "n_images": 24}
            for layer in layers
            for rs, (a, b) in zip(values, pairs, strict=True)
        ]
    )  # fmt: skip


def target_tables(networks: pd.DataFrame, config: dict) -> dict[str, pd.DataFrame]:
    """Return the tables of a target; the first network is ranked first and reaches most."""
    n, metric = len(networks), {"classification": "accuracy"}.get(config["kind"], "miou")
    rs = np.linspace(0.8, 0.2, n)
    ranking = pd.DataFrame(
        {
            "model": networks["name"], "label": networks["label"], "type": networks["type"],
            "rs": rs, "ci_low": rs - 0.05, "ci_high": rs + 0.05, "p": 0.001, "q": 0.002,
            "rank": np.arange(1, n + 1), "rank_low": np.arange(1, n + 1),
            "rank_high": np.arange(1, n + 1), "behind": rs[0] - rs, "behind_low": rs[0] - rs - 0.01,
            "behind_high": rs[0] - rs + 0.01, "tied": ["yes"] + ["no"] * (n - 1),
        }
    )  # fmt: skip
    shares = {"same_first": [0.5, 1.0], "in_tied": [0.75, 1.0], "n_tied": [2, 1]}
    found = {
        "ranking": ranking,
        "ranking_images": pd.DataFrame(
            {"n_images": [8, 24], "draws": 40, **shares, "spearman": [0.8, 0.9]}
        ),
    }
    if config["kind"] in UNLABELLED:
        return found
    tuned = ranking[["model", "label", "type", "rs", "rank", "tied"]].assign(
        score=np.linspace(0.5, 0.3, n), score_rank=np.arange(1, n + 1)
    )
    scratch = pd.DataFrame({"model": ["small"], "label": [LABELS["small"]], "score": [0.35]})
    scores = pd.concat([tuned, scratch], ignore_index=True)
    return found | {
        "advice": _advice(networks),
        "measures": _measures(list(networks["name"])),
        "images": pd.DataFrame({"id": range(33), "split": ["train"] * 24 + ["val"] * 9}),
        "scores": scores.assign(
            trained="whole network", metric=metric, chance_score=0.2, n_val=9, score_sd=np.nan
        ),
        "cost": pd.DataFrame(
            {"model": networks["name"], "trained": "whole network", "steps": 60, "seeds": 1,
             "seconds_per_step": 1.0, "seconds": 60.0}
        ),
    }  # fmt: skip


def _advice(networks: pd.DataFrame) -> pd.DataFrame:
    ranks = np.arange(1, len(networks) + 1)
    names = networks[["label", "type"]].assign(model=networks["name"], untrained="no")
    return names.assign(
        mean_rank=ranks, rank=ranks, rank_low=ranks, rank_high=ranks,
        tied=np.where(ranks == 1, "yes", "no"), rank_probe=ranks, rank_cka=ranks,
    )  # fmt: skip


def _measures(models: Sequence[str]) -> pd.DataFrame:
    """Return scores that fall with every network, sizes too, at the tap and one more layer."""
    scores, rows = np.linspace(0.9, 0.3, len(models)), []
    for model, score in zip(models, scores, strict=True):
        for layer, shift in (("tap", 0.0), ("last", -0.2)):
            rows.append((model, "probe", layer, score + shift, "", 0.25))
            rows.append((model, "cka", layer, score / 2 + shift, "", np.nan))
        rows.append((model, "size", "", 6 + score, "", np.nan))
        rows.append((model, "prior", "", np.nan, "the table has no prior for it", np.nan))
    return pd.DataFrame(
        rows, columns=["model", "measure", "layer", "score", "reason", "chance"]
    ).replace("", np.nan)


def race(*rounds: Sequence[str], steps: int = 60, margin: float = 0.05) -> pd.DataFrame:
    """Return a race; `rounds` name the networks of each round, best first, the winner's last."""
    parts = []
    for number, models in enumerate(rounds, 1):
        part = pd.DataFrame({"model": models, "round": number, "type": "", "label": models})
        kept = len(rounds[number]) if number < len(rounds) else 1
        part["steps"] = steps * number // len(rounds)
        part["cost"] = steps // len(rounds)
        part["place"] = np.arange(1, len(models) + 1)
        part["score"] = 0.4 - margin * (part["place"] - 1)
        part["survives"] = np.where(part["place"] <= kept, "yes", "no")
        parts.append(part)
    return pd.concat(parts, ignore_index=True).assign(
        trained="whole network", metric="miou", n_val=6
    )


# --- the reference run ---


OF_TARGET = ("ranking", "scores", "prediction", "choice", "taps", "advice", "measures")


def _picture(path: Path) -> Picture:
    """Return a figure of the demo."""
    target = "outdoor" if path.stem in OF_TARGET else ""
    return Picture(path, registered()[path.stem], target=target)


def demo() -> Inputs:
    """Return the reference run of the demo, with its figures and claims."""
    tables = read_tables(sorted(DEMO.glob("*.csv")))
    tables["bank_quality"] = tables.pop("quality")
    of_target = {name: tables.pop(name) for name in OF_TARGET if name in tables}
    claims = judge_all(Run(tables | of_target))
    ranking = of_target["ranking"]
    of_target["ranking"] = ranking.assign(tied=np.where(ranking["rank_low"] > 1, "no", "yes"))
    of_target["scores"] = of_target["scores"].assign(
        metric="miou", chance_score=0.1, trained="whole network"
    )
    tasks = tables["tasks"].rename(columns={"task": "name"})
    outdoor = {"kind": "segmentation", "source": "outdoor", "finetune": "all"}
    config = settings(run="demo", source="simulated", targets={"outdoor": outdoor})
    pictures = [_picture(path) for path in sorted(DEMO.glob("*.png"))]
    return Inputs(
        config=parse(config)[0],
        settings=config,
        networks=tasks[["name", "label", "type"]].assign(loader="trained"),
        layer="compressed",
        tables=tables,
        targets={"outdoor": of_target},
        pictures=pictures,
        claims=claims,
        paper_target="outdoor",
        tree=tree_of(tables["similarity"], "compressed"),
        digests={"500 stimuli": "ab" * 32},
        packages=["numpy"],
        jobs=[Job("rdms_bank_edge2d", 2, 1.5, 300)],
        disk={"bank": 2_500_000, ".": 900},
    )
