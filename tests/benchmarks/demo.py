"""Run a whole workflow and say how much of its time was its work.

Run from anywhere, with nothing else running:

    .venv/bin/python tests/benchmarks/demo.py --out demo.csv
    .venv/bin/python tests/benchmarks/demo.py --made results/study --out study.csv

Copies what git has staged to a new folder (a temporary one unless `--folder` names it) and runs
Snakemake there as `make demo` does. A job's work is what its entry function does: its log says how
long that took, and how much processor time, which is more in a job that holds several cores; the
larger counts. What went before it into starting Python and importing does not. The first row holds
the wall time, how many times the work's it is when that is shared among the cores, the peak memory
of the largest job that has a benchmark, and the size of the results; the others, the jobs of each
script. With `--made` nothing runs: the jobs are those of a run that is there, without wall time.
"""

from __future__ import annotations

import argparse
import csv
import math
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[2]
TOOK = re.compile(
    r"^(\w+)\.py: ([\d.]+) s, ([\d.]+) s of processor time, after ([\d.]+) s of start-up$",
    re.MULTILINE,
)
COLUMNS = (
    *("what", "jobs", "wall_s", "work_s", "work_cpu_s", "start_up_cpu_s", "cpu_s", "of_work"),
    *("largest_mb", "disk_mb"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--configfile", default="config/demo.yaml")
    parser.add_argument("--folder", type=Path, help="new folder to run in, kept (a temporary one)")
    parser.add_argument("--made", type=Path, help="results of a run that is there")
    parser.add_argument("--out", type=Path, required=True, help="CSV to write")
    options = parser.parse_args()
    if options.made:
        if not jobs(options.made):
            parser.error(f"--made: {options.made} has no logs of jobs")
        write([summed(options.made, "all"), *jobs(options.made)], options.out)
        return
    if options.folder and options.folder.exists():
        parser.error(f"--folder: {options.folder} exists; name a new folder")
    with tempfile.TemporaryDirectory() as name:
        folder = (options.folder or Path(name)).resolve()
        subprocess.run(
            ["git", "checkout-index", "--all", f"--prefix={folder}/"], cwd=ROOT, check=True
        )
        start, before = time.perf_counter(), os.times()
        command = [sys.executable, "-m", "snakemake", "--cores", str(options.cores)]
        # The scripts are run by the same Python.
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        subprocess.run(
            [*command, "--configfile", options.configfile],
            cwd=folder,
            env={**os.environ, "PATH": path},
            check=True,
        )
        wall, after = time.perf_counter() - start, os.times()
        (results,) = (path.parent for path in folder.glob("results/*/logs"))
        total, rows = summed(results, f"all, {options.cores} cores"), jobs(results)
    cpu = after.children_user + after.children_system
    total |= {
        "wall_s": wall,
        "cpu_s": cpu - before.children_user - before.children_system,
        "of_work": wall * options.cores / total["work_s"],
    }
    write([total, *rows], options.out)


def write(rows: list[dict[str, object]], out: Path) -> None:
    with out.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for row in rows:
            row = {k: f"{v:.4g}" if isinstance(v, float) else v for k, v in row.items()}
            writer.writerow(row)
            print("  ".join(f"{key} {value}" for key, value in row.items()))


def summed(results: Path, what: str) -> dict[str, object]:
    """Return the sums over all jobs of a run, its largest job and the size of its results."""
    rows = jobs(results)
    total: dict[str, object] = {
        key: sum(row[key] for row in rows)
        for key in ("jobs", "work_s", "work_cpu_s", "start_up_cpu_s")
    }
    sizes = [path.stat().st_size for path in results.rglob("*") if path.is_file()]
    largest = max(peaks(results), default=math.nan)
    return {"what": what, **total, "largest_mb": largest, "disk_mb": sum(sizes) / 1e6}


def peaks(results: Path) -> list[float]:
    """Return the peak memory of every job with a benchmark, MB (Snakemake's are MiB)."""
    found = []
    for path in results.glob("benchmarks/**/*.tsv"):
        with path.open(newline="") as file:
            for row in csv.DictReader(file, delimiter="\t"):
                # Jobs that end before they are looked at have no number.
                if re.fullmatch(r"[\d.]+", row["max_rss"]):
                    found.append(float(row["max_rss"]) * 2**20 / 1e6)
    return found


def jobs(results: Path) -> list[dict[str, object]]:
    """Return the sums of each kind of job, the longest first."""
    found: dict[str, list[tuple[float, ...]]] = defaultdict(list)
    for log in results.glob("logs/**/*.log"):
        for took in TOOK.finditer(log.read_text(errors="replace")):
            script, *numbers = took.groups()
            seconds, cpu, start_up = map(float, numbers)
            found[script].append((max(seconds, cpu), cpu, start_up))
    rows = []
    for script, times in found.items():
        work, cpu, start_up = map(sum, zip(*times, strict=True))
        rows.append(
            {
                "what": script,
                "jobs": len(times),
                "work_s": work,
                "work_cpu_s": cpu,
                "start_up_cpu_s": start_up,
            }
        )
    return sorted(rows, key=lambda row: -row["work_s"])


if __name__ == "__main__":
    main()
