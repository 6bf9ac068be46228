"""Time the similarity matrix of a bank beside rsatoolbox's comparison of RDMs.

Run from anywhere, with nothing else running:

    .venv/bin/python tests/benchmarks/similarity.py --out similarity.csv

The RDMs are random numbers with a part in common, some pairs tied. Each round times both ways, one
after the other; medians over the rounds are written: CPU milliseconds, and how many times the first
row's that is. BLAS keeps to one thread. Ends with an error if a correlation differs by more than
1e-12.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from pathlib import Path

import numpy as np
from rsatoolbox.rdm import RDMs, compare
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

from taskrsa.rsa.similarity import similarity_matrix

COLUMNS = ("what", "cpu_ms", "cpu_ratio")
TOLERANCE = 1e-12


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--networks", type=int, default=20)
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path, required=True, help="CSV to write")
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    n_pairs = options.images * (options.images - 1) // 2
    rdms = rng.random((options.networks, n_pairs)) + rng.random(n_pairs)
    rdms = np.round(rdms * 1e5).astype(np.float32)
    peer = RDMs(rdms.astype(np.float64))
    ways = {
        "taskrsa": lambda: similarity_matrix(rdms),
        "rsatoolbox": lambda: compare(peer, peer, method="spearman"),
    }
    with threadpool_limits(1):
        found = [way() for way in ways.values()]
        error = float(np.abs(found[0] - found[1]).max())
        if error > TOLERANCE:
            sys.exit(f"the similarities differ from rsatoolbox's by {error:.1e}")
        times = np.array([[seconds(way) for way in ways.values()] for _ in range(options.rounds)])
    with options.out.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for what, column in zip(ways, times.T, strict=True):
            ratio = np.median(column / times[:, 0])
            writer.writerow([what, f"{1000 * np.median(column):.4g}", f"{ratio:.4g}"])
    print(options.out.read_text())


def seconds(way) -> float:
    start = time.process_time()
    way()
    return time.process_time() - start


if __name__ == "__main__":
    main()
