"""Read a run's files for its page; names of targets and networks are those of their folders."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from taskrsa.analysis.tables import linkage_of
from taskrsa.figures.registry import registered
from taskrsa.io.files import digest_of, read_table
from taskrsa.report.inputs import SMALL, Picture, Tree


def tables_of(paths: Iterable[str]) -> dict[str, pd.DataFrame]:
    """Return the tables of the bank by name; one named quality has that of its folder before it.

    Raises DataError if a file is missing or is not a table.
    """
    found = {}
    for path in map(Path, paths):
        name = f"{path.parent.name}_quality" if path.stem == "quality" else path.stem
        found[name] = read_table(path)
    return found


def targets_of(
    results: str, tables: Iterable[str], curves: Iterable[str]
) -> dict[str, dict[str, pd.DataFrame]]:
    """Return tables by target and name, all learning curves of a target as its table "curves".

    Parameters
    ----------
    results : the run's folder
    tables : files targets/<target>/<table>.csv in it, and the scores of small models,
        targets/<target>/small/s<seed>/scores.csv, which alone are shown where no network of the
        bank is fine-tuned
    curves : files targets/<target>/small/s<seed>/learning_curve.csv, or, of networks,
        targets/<target>/finetuned/<tap>/<network>/s<seed>/learning_curve.csv

    Raises
    ------
    DataError
        As for `tables_of`.
    """
    found: dict[str, dict[str, list[pd.DataFrame]]] = {}
    for path in map(Path, tables):
        _, target, *inner = path.relative_to(results).parts
        name = path.stem if len(inner) == 1 else "small_runs"
        found.setdefault(target, {}).setdefault(name, []).append(read_table(path))
    for of_target in found.values():
        runs = of_target.pop("small_runs", [])
        if runs and "scores" not in of_target:
            of_target["scores"] = [_small_scores(pd.concat(runs, ignore_index=True))]
    for path in map(Path, curves):
        _, target, kind, *_ = parts = path.relative_to(results).parts
        network, seed = parts[-3:-1]
        frame = read_table(path)
        frame = frame.rename(columns={frame.columns[-1]: "score"}).assign(
            model=network if kind == "finetuned" else SMALL, seed=int(seed.removeprefix("s"))
        )
        found.setdefault(target, {}).setdefault("curves", []).append(frame)
    return {
        target: {name: pd.concat(read, ignore_index=True) for name, read in of_target.items()}
        for target, of_target in found.items()
    }


def _small_scores(runs: pd.DataFrame) -> pd.DataFrame:
    """Return a table of scores with the small model as its only row."""
    same = ("trained", "metric", "chance_score", "n_val")
    row = {"model": SMALL, "label": "small model", **runs.iloc[0][list(same)]}
    row |= {"score": runs["score"].mean(), "score_sd": runs["score"].std(ddof=1)}
    return pd.DataFrame([row | dict.fromkeys(("rank", "rs", "tied"), np.nan)])


def pictures_of(results: str, paths: Iterable[str]) -> list[Picture]:
    """Return the figures of a run, figures/[<target>/]<figure>.png in its folder."""
    found = []
    for path in map(Path, paths):
        *target, _ = path.relative_to(results).parts[1:]
        found.append(Picture(path, registered()[path.stem], *target))
    return found


def tree_of(paths: Iterable[str]) -> Tree | None:
    """Return the tree <layer>_<method>.csv, or None where there is none."""
    for path in paths:
        tree = linkage_of(read_table(path), path)
        return Tree(*tree, Path(path).stem.rpartition("_")[2])
    return None


def digests_of(results: str, stimuli: str, tables: Iterable[str]) -> dict[str, str]:
    """Return one hash for the stimuli, which every RDM file has too, and for each target's images.

    results and tables are as for `targets_of`; of the tables, those named images are read.
    """
    images = read_table(stimuli)
    rows = [f"{row.image} {row.sha256}" for row in images.itertuples()]
    found = {f"{len(images)} stimuli": digest_of(rows)}
    for path in map(Path, tables):
        if path.stem == "images":
            rows = path.read_text(encoding="utf-8").splitlines()
            target = path.relative_to(results).parts[1]
            found[f"{len(rows) - 1} images of {target}"] = digest_of(rows)
    return found


def claims_of(paths: Iterable[str]) -> list[dict]:
    """Return the rows of a table of claims; none without one."""
    rows = []
    for path in paths:
        frame = read_table(path).astype(object)
        rows += frame.where(frame.notna(), None).to_dict("records")
    return rows


def networks_of(path: str) -> pd.DataFrame:
    """Return the networks of the bank: name, label, type, loader; blank where there is no type."""
    return read_table(path).fillna("")
