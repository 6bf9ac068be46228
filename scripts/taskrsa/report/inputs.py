"""What a page is made from: tables, pictures and timings of a run, and its networks' names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from taskrsa.figures.registry import Registration
from taskrsa.figures.style import type_styles
from taskrsa.io.costs import Job
from taskrsa.plan.config import Config
from taskrsa.report.view import Mark, Shown
from taskrsa.tasks.dictionary import TASKS

# Markers of figures as letters, so that types differ in more than their colour.
GLYPHS = dict(zip("osD^vPXp<>hdH8*", "●■◆▲▼✚✖⬟◀▶⬢♦⬣✹★", strict=True))

SMALL = "small"  # the small model of a target, in its tables

Tables = Mapping[str, pd.DataFrame]


class Tree(NamedTuple):
    """A tree at the layer of the rankings: (m - 1, 4) SciPy linkage, its m leaves, its method."""

    linkage: np.ndarray
    leaves: Sequence[str]
    method: str


class Picture(NamedTuple):
    """A drawn figure; `target` is "" where it is about the bank."""

    path: Path
    figure: Registration
    target: str = ""


@dataclass(frozen=True)
class Inputs:
    """All that a page is made from; paths are only read.

    Parameters
    ----------
    settings : the config as it is shown, with the sections that extensions added
    networks : one row a network of the bank, all text: name, label, type, loader
    layer : where networks are ranked; its similarity matrix is shown first
    tables : about the bank, by name, "similarity" of all layers among them; the two tables named
        quality are "bank_quality" and "small_quality"
    targets : tables by target and name; "curves" has model, seed, step, train_loss, score
    pictures : in the order in which they are shown
    claims : rows of claims.csv, and the target that some of them are about
    left_out : a line for everything that this run lacks, with the reason
    digests : SHA-256 of the data that the run was made from, by what it is of
    disk : bytes by folder
    gpu : whether jobs had a GPU, so that their CPU time says little
    """

    config: Config
    settings: Mapping
    networks: pd.DataFrame
    layer: str
    tables: Tables
    targets: Mapping[str, Tables] = field(default_factory=dict)
    pictures: Sequence[Picture] = ()
    claims: Sequence[Mapping] = ()
    paper_target: str = ""
    tree: Tree | None = None
    left_out: Sequence[str] = ()
    digests: Mapping[str, str] = field(default_factory=dict)
    packages: Sequence[str] = ()
    jobs: Sequence[Job] = ()
    disk: Mapping[str, int] = field(default_factory=dict)
    gpu: bool = False

    def table(self, name: str, target: str = "") -> pd.DataFrame:
        """Return a table of the bank or of a target; without rows where the run lacks it."""
        tables = self.targets.get(target, {}) if target else self.tables
        return tables.get(name, pd.DataFrame())

    @cached_property
    def grouped(self) -> str:
        """A sentence where groups of images were drawn for intervals, of how many; "" elsewhere."""
        similarity = self.table("similarity")
        if "n_groups" not in similarity:
            return ""
        row = similarity.loc[similarity["n_groups"].idxmax()]
        return (
            f"The {row['n_images']:.0f} stimuli show {row['n_groups']:.0f} scenes or clips; "
            "intervals resample these, not single images."
        )

    @cached_property
    def ranked(self) -> list[str]:
        """The targets for which the bank was ranked."""
        return [name for name in self.targets if len(self.table("ranking", name))]

    @cached_property
    def marks(self) -> dict[str, Mark]:
        """The mark of every type of the bank, as in figures."""
        known, styles = set(self.networks["type"]), type_styles(self.networks["type"])
        return {
            kind: Mark(f"type-{at}", GLYPHS[styles[kind][1]], styles[kind][0])
            for at, kind in enumerate(kind for kind in styles if kind in known)
        }

    @cached_property
    def styles(self) -> dict[str, Shown]:
        """How the page writes the networks of the bank, in order, and then the tasks."""
        known = {row.name: row for row in self.networks.itertuples()}
        known |= {name: task for name, task in TASKS.items() if name not in known}
        return {
            name: Shown(one.label, self.marks.get(one.type, Mark())) for name, one in known.items()
        }

    def label(self, name: str) -> str:
        """Return a network's name in running text."""
        return self.styles[name].label if name in self.styles else str(name)
