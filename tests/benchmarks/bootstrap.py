"""Time the exact bootstrap of a similarity matrix beside rsatoolbox's, and check both.

Run from anywhere, with nothing else running:

    .venv/bin/python tests/benchmarks/bootstrap.py --out bootstrap.csv

The RDMs are random numbers with a part in common. Each round times every way on new resamples, one
after the other, so that a busy machine slows all alike; medians over the rounds are written, one
row a way: wall and CPU seconds per resample, and CPU time as a multiple of the first row's. BLAS
keeps to one thread. Ends with an error if a resample differs by more than 1e-6 from the definition:
repeat the images, leave pairs of an image with itself out, and correlate with SciPy.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from rsatoolbox.inference import bootstrap_sample_pattern
from rsatoolbox.rdm import RDMs, compare
from scipy.spatial.distance import squareform
from scipy.stats import spearmanr
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

from taskrsa.rsa.alignment import resampled_alignment
from taskrsa.rsa.inference import bootstrap_counts, resampled_similarity

TOLERANCE = 1e-6
COLUMNS = ("what", "resamples", "wall_s_per_resample", "cpu_s_per_resample", "cpu_ratio")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--models", type=int, default=20)
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--resamples", type=int, default=1000, help="of each way but rsatoolbox's")
    parser.add_argument("--peer-resamples", type=int, default=15, help="of rsatoolbox")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--checks", type=int, default=3, help="resamples checked by definition")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, help="CSV to write")
    options = parser.parse_args()
    with threadpool_limits(1):
        rdms = some_rdms(options.models, options.images, options.seed)
        error = largest_error(rdms, options.images, options.checks, options.seed)
        print(f"largest difference from the definition: {error:.1e}")
        if error > TOLERANCE:
            sys.exit(f"the bootstrap differs from its definition by {error:.1e}")
        print(f"largest difference from rsatoolbox: {difference_from_rsatoolbox(rdms):.1e}")
        rows = timed_rows(rdms, options)
    with options.out.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([COLUMNS, *rows])
    for row in [COLUMNS, *rows]:
        print(
            "  ".join(f"{value:.4g}" if isinstance(value, float) else str(value) for value in row)
        )
    print(f"{options.resamples} resamples: {rows[0][2] * options.resamples:.1f} s")


def some_rdms(m: int, n: int, seed: int) -> np.ndarray:
    """Return (m, p) float32 RDMs that correlate, some pairs tied as in RDM files."""
    rng = np.random.default_rng(seed)
    p = n * (n - 1) // 2
    return (rng.uniform(0, 1, (m, p)) + rng.uniform(0, 1, p)).astype(np.float32)


def largest_error(rdms: np.ndarray, n: int, n_checks: int, seed: int) -> float:
    """Return the largest difference from the definition, of continuous and of coarse RDMs."""
    worst = 0.0
    for some in (rdms, np.round(rdms * 8)):
        counts = bootstrap_counts(n, n_checks, seed + 1)
        for found, count in zip(resampled_similarity(some, counts), counts, strict=True):
            worst = max(worst, float(np.abs(found - naive_similarity(some, count)).max()))
    return worst


def naive_similarity(rdms: np.ndarray, count: np.ndarray) -> np.ndarray:
    drawn = np.repeat(np.arange(len(count)), count)
    first, second = np.triu_indices(len(drawn), 1)
    first, second = drawn[first], drawn[second]
    other = first != second
    return spearmanr([squareform(row)[first, second][other] for row in rdms], axis=1).statistic


def difference_from_rsatoolbox(rdms: np.ndarray) -> float:
    """Return the largest difference on one resample: what is timed is the same quantity."""
    peer = RDMs(rdms.astype(np.float64))
    resample, drawn = bootstrap_sample_pattern(peer)
    count = np.bincount(drawn, minlength=peer.n_cond)
    found = resampled_similarity(rdms, count[None])[0]
    return float(np.abs(found - compare(resample, resample, method="spearman")).max())


def timed_rows(rdms: np.ndarray, options: argparse.Namespace) -> list[tuple]:
    peer = RDMs(rdms.astype(np.float64))
    whole = -(-options.resamples // options.rounds)
    few = -(-options.peer_resamples // options.rounds)
    ways: dict[str, tuple[int, Callable[[np.ndarray], object]]] = {
        "Spearman, exact": (whole, lambda counts: resampled_similarity(rdms, counts)),
        "Spearman, exact, 2 threads": (whole, lambda counts: in_threads(rdms, counts, 2)),
        "Spearman, rsatoolbox": (few, lambda counts: by_rsatoolbox(peer, len(counts))),
        "alignment, exact": (whole, lambda counts: resampled_alignment(rdms, counts)),
    }
    seconds: dict[str, list[tuple[float, float]]] = {what: [] for what in ways}
    for turn in range(options.rounds):
        for what, (n_resamples, way) in ways.items():
            counts = bootstrap_counts(options.images, n_resamples, options.seed + turn)
            wall, cpu = time.perf_counter(), time.process_time()
            way(counts)
            spent = time.perf_counter() - wall, time.process_time() - cpu
            seconds[what].append((spent[0] / n_resamples, spent[1] / n_resamples))
    medians = {what: np.median(pairs, axis=0).tolist() for what, pairs in seconds.items()}
    base = medians["Spearman, exact"][1]
    return [
        (what, ways[what][0] * options.rounds, wall, cpu, cpu / base)
        for what, (wall, cpu) in medians.items()
    ]


def in_threads(rdms: np.ndarray, counts: np.ndarray, n_threads: int) -> np.ndarray:
    """Return what `resampled_similarity` does; NumPy's loops run beside each other."""
    with ThreadPoolExecutor(n_threads) as pool:
        parts = pool.map(
            lambda some: resampled_similarity(rdms, some), np.array_split(counts, n_threads)
        )
        return np.concatenate(list(parts))


def by_rsatoolbox(rdms: RDMs, n_resamples: int) -> np.ndarray:
    results = []
    for _ in range(n_resamples):
        resample, _ = bootstrap_sample_pattern(rdms)
        results.append(compare(resample, resample, method="spearman"))
    return np.array(results)


if __name__ == "__main__":
    main()
