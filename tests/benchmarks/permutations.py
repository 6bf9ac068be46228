"""Time the randomisation of condition labels for one target beside the naive way, and check both.

Run from anywhere, with nothing else running:

    .venv/bin/python tests/benchmarks/permutations.py --out permutations.csv

The RDMs are random numbers with a part in common. The naive way permutes the images of each
network's RDM and correlates with SciPy. Each round times both, one after the other; medians over
the rounds are written: CPU seconds a permutation, and how many times the first row's that is. BLAS
keeps to one thread. Ends with an error if the p-values of the two differ.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from pathlib import Path

import numpy as np
from scipy.spatial.distance import squareform
from scipy.stats import spearmanr
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

from taskrsa.rsa.inference import permutation_p

COLUMNS = ("what", "permutations", "cpu_s_per_permutation", "cpu_ratio")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--networks", type=int, default=20)
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--permutations", type=int, default=2000, help="of ours, in a round")
    parser.add_argument("--naive-permutations", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, help="CSV to write")
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    n_pairs = options.images * (options.images - 1) // 2
    target = rng.random((1, n_pairs)).astype(np.float32)
    bank = rng.random((options.networks, n_pairs)).astype(np.float32) + 0.002 * target
    with threadpool_limits(1):
        n = options.naive_permutations
        ours = permutation_p(target, bank, n, options.seed)[0]
        if not np.array_equal(ours, naive_p(target[0], bank, options.images, n, options.seed)):
            sys.exit("the p-values differ from those of the definition")
        times = np.array([one_round(target, bank, options) for _ in range(options.rounds)])
    each = times / [options.permutations, n]
    rows = [
        ("taskrsa", options.permutations, np.median(each[:, 0]), 1.0),
        ("naive, SciPy", n, np.median(each[:, 1]), np.median(each[:, 1] / each[:, 0])),
    ]
    with options.out.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows([what, count, f"{s:.4g}", f"{r:.4g}"] for what, count, s, r in rows)
    print(options.out.read_text())


def one_round(target: np.ndarray, bank: np.ndarray, options) -> tuple[float, float]:
    """Return CPU seconds of our permutations and of the naive ones."""
    start = time.process_time()
    permutation_p(target, bank, options.permutations, options.seed)
    middle = time.process_time()
    naive_p(target[0], bank, options.images, options.naive_permutations, options.seed)
    return middle - start, time.process_time() - middle


def naive_p(target: np.ndarray, bank: np.ndarray, n: int, permutations: int, seed: int):
    """Return the p-values by their definition, permutations as in `permutation_p`."""
    rng = np.random.default_rng(seed)
    squares = [squareform(row) for row in bank]
    observed = np.array([spearmanr(target, row).statistic for row in bank])
    reached = np.zeros(len(bank))
    for _ in range(permutations):
        order = rng.permutation(n)
        moved = [squareform(square[np.ix_(order, order)], checks=False) for square in squares]
        found = np.array([spearmanr(target, row).statistic for row in moved])
        reached += found >= observed - 1e-6
    return (1 + reached) / (1 + permutations)


if __name__ == "__main__":
    main()
