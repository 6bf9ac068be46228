"""What the jobs of a run took: the benchmark files that stand beside its results.

A benchmark file has a header and one row a repetition: s (wall seconds), max_rss (peak memory in
MiB) and cpu_time (CPU-seconds) are read, others ignored. A job too short to be sampled has no
number there, and the CPU time of a long one is that of its last sample: samples are taken every
half second at first, every 30 s later, and none at the end. What comes after the last counts at the
same rate as what came before. Files are written beside the results and are not among them: what is
missing or damaged is left out.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

# Stages by the beginning of a job's name; the first that fits counts. Their order is the page's.
STAGES = (
    ("prepare_", "images and labels"),
    ("convert_", "images and labels"),
    ("train_small_", "small models"),
    ("train_target_", "small models of the targets"),
    ("train_", "training of the networks"),
    ("rdms_bank_", "RDMs of the networks"),
    ("rdms_target_", "small models of the targets"),
    ("rdms_own_", "RDMs on images of the targets"),
    ("rdms_random_", "RDMs of untrained encoders"),
    ("target_features_", "measures of transfer"),
    ("measures_", "measures of transfer"),
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


# Seconds until samples become rare, and between them then.
OFTEN_UNTIL, RARELY = 15.5, 30.0


@dataclass(frozen=True)
class Job:
    """One timed job: CPU and wall seconds, peak memory in MiB; None where it was not sampled."""

    name: str
    wall_s: float | None
    cpu_s: float | None
    peak_mb: float | None


def read_jobs(folder: str | os.PathLike) -> list[Job]:
    """Return the timed jobs of a folder of benchmark files, by name; none where there is none."""
    jobs = []
    for path in sorted(Path(folder).glob("*.tsv")):
        try:
            table = pd.read_csv(path, sep="\t")
        except (OSError, ValueError):
            continue
        columns = table.reindex(columns=["s", "cpu_time", "max_rss"])
        numbers = columns.apply(pd.to_numeric, errors="coerce")
        wall, cpu = numbers["s"], _whole(numbers["s"], numbers["cpu_time"])
        took = [wall.sum(), cpu.sum(), numbers["max_rss"].max()]
        sampled = numbers.notna().any()
        if sampled["s"]:
            known = zip(took, sampled, strict=True)
            jobs.append(Job(path.stem, *(value if there else None for value, there in known)))
    return jobs


def _whole(wall: pd.Series, sampled: pd.Series) -> pd.Series:
    """Return CPU-seconds (n,) of whole jobs from those of their last samples."""
    seen = wall.where(wall < OFTEN_UNTIL, wall - (wall - OFTEN_UNTIL) % RARELY)
    return sampled * (wall / seen).fillna(1.0)


def stage_of(job: str) -> str:
    """Return the stage that a job's name belongs to."""
    return next((stage for prefix, stage in STAGES if job.startswith(prefix)), OTHER)


def ranking_seconds(jobs: Iterable[Job], target: str, gpu: bool = False) -> float:
    """Return the seconds that ranking the bank for a target took, its small models included.

    Of the CPU, or of the wall clock where jobs had a GPU. Where networks were ranked on images of
    the target, the RDMs are those of these images.
    """
    jobs, name = list(jobs), re.escape(target)
    rdms = rf"rdms_own_{name}\..*"
    if not any(re.fullmatch(rdms, job.name) for job in jobs):
        rdms = rf"rdms_bank_.*|rdms_target_{name}(_s\d+)?"
    return _seconds(jobs, rf"{rdms}|train_target_{name}(_s\d+)?", gpu)


def advice_seconds(
    jobs: Iterable[Job], target: str, networks: Iterable[str], gpu: bool = False
) -> float:
    """Return the seconds that features and measures of some networks took on a target, as for
    `ranking_seconds`; RDMs and small models, which one of the measures compares, are not in it."""
    names = "|".join(map(re.escape, networks))
    return _seconds(jobs, rf"(target_features|measures)_{re.escape(target)}_({names})", gpu)


def tuning_seconds(jobs: Iterable[Job], target: str, gpu: bool = False) -> float:
    """Return the seconds that all fine-tuning on a target took, as for `ranking_seconds`."""
    taps = "block4|compressed|race"
    return _seconds(jobs, rf"finetune_{re.escape(target)}_({taps})_.*", gpu)


def _seconds(jobs: Iterable[Job], names: str, gpu: bool) -> float:
    chosen = (job for job in jobs if re.fullmatch(names, job.name))
    return sum((job.wall_s if gpu else job.cpu_s) or 0.0 for job in chosen)


def by_stage(jobs: Iterable[Job]) -> list[dict]:
    """Return a row for each stage that has jobs, in the order of the workflow.

    Its `name`, the number of `jobs`, sums of `cpu_s` and `wall_s`, the largest `peak_mb`, and how
    many are `unsampled`: without a CPU time.
    """
    groups: dict[str, list[Job]] = {name: [] for _, name in STAGES} | {OTHER: []}
    for job in jobs:
        groups[stage_of(job.name)].append(job)
    return [
        {
            "name": name,
            "jobs": len(members),
            "cpu_s": sum(job.cpu_s or 0.0 for job in members),
            "wall_s": sum(job.wall_s or 0.0 for job in members),
            "peak_mb": max(job.peak_mb or 0.0 for job in members),
            "unsampled": sum(job.cpu_s is None for job in members),
        }
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
