"""What the jobs of a run took: the benchmark files that stand beside its results.

A benchmark file has a header and one row a repetition: s (wall seconds), max_rss (peak memory in
MiB) and cpu_time (CPU-seconds) are read, others ignored. A job too short to be sampled has no
number there. Files are written beside the results and are not among them: what is missing or
damaged is left out.
"""

from __future__ import annotations

import csv
import math
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

# Stages by the beginning of a job's name; the first that fits counts. Their order is the page's.
STAGES = (
    ("prepare_", "images and labels"),
    ("convert_", "images and labels"),
    ("public_", "public encoders"),
    ("train_small_", "small models"),
    ("train_target_", "small models of the targets"),
    ("train_", "training of the networks"),
    ("rdms_bank_", "RDMs of the networks"),
    ("rdms_target_", "small models of the targets"),
    ("rdms_random_", "RDMs of untrained encoders"),
    ("rdms_", "other RDMs"),
    ("similarity_", "similarity, with bootstrap"),
    ("rank_", "rankings"),
    ("small_vs_bank", "small models against the networks"),
    ("robustness_", "robustness"),
    ("probe_", "transfer measured by probes"),
    ("model_selection", "similarity against transfer"),
    ("finetune_", "fine-tuning on the targets"),
)
OTHER = "other"


@dataclass(frozen=True)
class Job:
    """One timed job: CPU and wall seconds, peak memory in MiB; None where it was not sampled."""

    name: str
    wall_s: float | None
    cpu_s: float | None
    peak_mb: float | None


@dataclass(frozen=True)
class Stage:
    """All jobs of a stage: sums of CPU and wall seconds, the largest peak memory in MiB."""

    name: str
    jobs: int
    cpu_s: float
    wall_s: float
    peak_mb: float
    unsampled: int  # jobs without a CPU time


def read_jobs(folder: str | os.PathLike) -> list[Job]:
    """Return the timed jobs of a folder of benchmark files, by name; none where there is none."""
    jobs = []
    for path in sorted(Path(folder).glob("*.tsv")):
        try:
            with open(path, newline="", encoding="utf-8") as stream:
                rows = list(csv.DictReader(stream, delimiter="\t"))
        except (OSError, UnicodeDecodeError):
            continue
        wall, cpu, peak = ([_number(row.get(key)) for row in rows] for key in _COLUMNS)
        if _known(wall):
            jobs.append(Job(path.stem, _sum(wall), _sum(cpu), max(_known(peak), default=None)))
    return jobs


_COLUMNS = ("s", "cpu_time", "max_rss")


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "nan")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _known(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _sum(values: list[float | None]) -> float | None:
    return sum(_known(values)) if _known(values) else None


def stage_of(job: str) -> str:
    """Return the stage that a job's name belongs to."""
    return next((stage for prefix, stage in STAGES if job.startswith(prefix)), OTHER)


def ranking_seconds(jobs: Iterable[Job], target: str, gpu: bool = False) -> float:
    """Return the seconds that ranking the bank for a target took, its small models included.

    Of the CPU, or of the wall clock where jobs had a GPU.
    """
    names = re.compile(rf"rdms_bank_.*|(train|rdms)_target_{re.escape(target)}(_s\d+)?")
    ranked = (job for job in jobs if names.fullmatch(job.name))
    return sum((job.wall_s if gpu else job.cpu_s) or 0.0 for job in ranked)


def by_stage(jobs: Iterable[Job]) -> list[Stage]:
    """Return what each stage took, in the order of the workflow; stages without jobs left out."""
    groups: dict[str, list[Job]] = {name: [] for _, name in STAGES} | {OTHER: []}
    for job in jobs:
        groups[stage_of(job.name)].append(job)
    return [
        Stage(
            name,
            len(members),
            sum(job.cpu_s or 0.0 for job in members),
            sum(job.wall_s or 0.0 for job in members),
            max((job.peak_mb or 0.0 for job in members), default=0.0),
            sum(job.cpu_s is None for job in members),
        )
        for name, members in groups.items()
        if members
    ]


def disk_use(folder: str | os.PathLike, but: str | os.PathLike = "") -> dict[str, int]:
    """Return bytes by folder directly below `folder`, but for one file; its own files are "."."""
    root, but = Path(folder), Path(but)
    used: dict[str, int] = {}
    for path in sorted(root.rglob("*")):
        try:
            if path == but or path.is_symlink() or not path.is_file():
                continue
            size = path.stat().st_size
        except OSError:
            # A file that another job has just renamed.
            continue
        parts = path.relative_to(root).parts
        top = parts[0] if len(parts) > 1 else "."
        used[top] = used.get(top, 0) + size
    return used
