"""Time the RDM of a feature matrix beside its limit and other tools, and what comes at scale.

Run from anywhere, with nothing else running:

    .venv/bin/python tests/benchmarks/rdm.py methods --out rdm.csv
    .venv/bin/python tests/benchmarks/rdm.py scale --out scale.csv    # 12 GB of memory, 6 of disk

`methods`: 500 images, features as after a ReLU. The limit is one symmetric product of the matrix
with itself (`X @ X.T` in float32). Each round times every way once, one after the other, so that a
busy machine slows all alike; medians of the rounds' CPU seconds are written, and the largest
difference from `np.corrcoef` in float64. The RDM is the paper's: each feature's mean over the
images is subtracted first, which other tools leave to their user. The authors' double loop is timed
on some of its pairs and scaled up; slow ways run in the first rounds only. BLAS keeps to one
thread.

`scale`: each case in a process of its own: CPU seconds, and peak memory beside the input's size.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

from rows import Row, cell, write_rows
from taskrsa.rsa.inference import (
    bootstrap_counts,
    bootstrap_similarity,
    permutation_p,
    resampled_similarity,
)
from taskrsa.rsa.rdm import compute_rdm, condensed, square_form
from taskrsa.rsa.similarity import similarity_matrix
from taskrsa.rsa.spill import SpilledFeatures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=["methods", "scale"])
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--features", type=int, nargs="+", default=[2_048, 131_072, 262_144])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--slow-rounds", type=int, default=1, help="of ways that take many seconds")
    parser.add_argument("--pairs", type=int, default=150, help="of the authors' loop")
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=list(CASES))
    parser.add_argument("--out", type=Path, required=True, help="CSV to write")
    options = parser.parse_args()
    rows: list[Row] = []
    if options.what == "scale":
        rows = [in_a_process(case) for case in options.cases]
    else:
        with threadpool_limits(1):
            for d in options.features:
                rows += timed(options.images, d, options)
    write_rows(options.out, rows)


def some_features(n: int, d: int, seed: int = 0) -> np.ndarray:
    """Return (n, d) float32 features as after a ReLU, with a pattern common to all images."""
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((n, d), dtype=np.float32)
    features += rng.standard_normal(d, dtype=np.float32)
    return np.maximum(features, 0, out=features)


def timed(n: int, d: int, options: argparse.Namespace) -> list[Row]:
    features = some_features(n, d)
    double = features.astype(np.float64)
    exact = {
        True: condensed(1 - np.corrcoef(double - double.mean(axis=0))),
        False: condensed(1 - np.corrcoef(double)),
    }
    del double
    # For each way: what it does, whether it centres, and how many of its rounds run.
    ways: dict[str, tuple[Callable[[], np.ndarray], bool | None, int]] = {
        "limit": (lambda: features @ features.T, None, options.rounds),
        "centring alone, in float32": (lambda: centre(features), None, options.rounds),
        "taskrsa": (lambda: compute_rdm(features).dissimilarities, True, options.rounds),
        "taskrsa, not centred": (
            lambda: compute_rdm(features, centre=False).dissimilarities,
            False,
            options.rounds,
        ),
        "np.corrcoef": (
            lambda: condensed(1 - np.corrcoef(centre(features.astype(np.float64)))),
            True,
            options.rounds,
        ),
        "Net2Brain's formula": (lambda: net2brain(centre(features)), True, options.rounds),
        "thingsvision's formula": (lambda: thingsvision(centre(features)), True, options.rounds),
        "rsatoolbox": (lambda: rsatoolbox_rdm(centre(features)), True, options.slow_rounds),
        "SciPy pdist": (
            lambda: scipy_pdist(centre(features.astype(np.float64))),
            True,
            options.slow_rounds,
        ),
    }
    small = d <= 16_384  # so quick that one call is not timed well, and that no way is slow
    repeats = 20 if small else 1
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    errors: dict[str, float] = {}
    for turn in range(options.rounds):
        for name, (way, centred, rounds) in ways.items():
            if turn >= rounds and not small:
                continue
            start = time.process_time()
            for _ in range(repeats):
                found = way()
            seconds[name].append((time.process_time() - start) / repeats)
            if turn == 0 and centred is not None:
                errors[name] = float(np.abs(found - exact[centred]).max())
    medians = {name: float(np.median(times)) for name, times in seconds.items()}
    loop = "authors' double loop"
    medians[loop], errors[loop] = authors_loop(features, options.pairs, exact[True])
    rows = [
        {
            "images": n,
            "features": d,
            "what": name,
            "cpu_ms": 1e3 * value,
            "of_limit": value / medians["limit"],
            "taskrsa_is_faster": value / medians["taskrsa"],
            "error": errors.get(name, float("nan")),
        }
        for name, value in medians.items()
    ]
    for row in rows:
        show(row)
    return rows


def centre(features: np.ndarray) -> np.ndarray:
    """Subtract each feature's mean over the images, which none of the other tools does."""
    return features - features.mean(axis=0)


def net2brain(features: np.ndarray) -> np.ndarray:
    """1 - the product of standardised rows, in PyTorch (`correlation`, net2brain/rdm/dist.py)."""
    import torch

    torch.set_num_threads(1)
    rows = torch.from_numpy(features)
    rows = rows - rows.mean(dim=-1, keepdim=True)
    rows = rows / rows.norm(p=2, dim=-1, keepdim=True)
    return condensed((1 - rows @ rows.T).numpy())


def thingsvision(features: np.ndarray) -> np.ndarray:
    """1 - covariance over the outer product of norms, in NumPy (`correlation_matrix`,
    thingsvision/core/rsa/helpers.py)."""
    rows = features - features.mean(axis=1)[:, np.newaxis]
    covariance = rows @ rows.T
    norms = np.linalg.norm(rows, axis=1)
    return condensed(1 - np.clip(covariance / np.outer(norms, norms), -1, 1))


def rsatoolbox_rdm(features: np.ndarray) -> np.ndarray:
    from rsatoolbox.data import Dataset
    from rsatoolbox.rdm import calc_rdm

    return calc_rdm(Dataset(features), method="correlation").dissimilarities[0]


def scipy_pdist(features: np.ndarray) -> np.ndarray:
    from scipy.spatial.distance import pdist

    return pdist(features, "correlation")


def authors_loop(features: np.ndarray, n_pairs: int, exact: np.ndarray) -> tuple[float, float]:
    """Time 1 - np.corrcoef(x, y)[0, 1] for some pairs of images: CPU seconds for all, and error."""
    rng = np.random.default_rng(0)
    n = len(features)
    rows = centre(features.astype(np.float64))
    pairs = [rng.choice(n, 2, replace=False) for _ in range(n_pairs)]
    start = time.process_time()
    found = [1 - np.corrcoef(rows[i], rows[j])[0][1] for i, j in pairs]
    seconds = (time.process_time() - start) / n_pairs * n * n
    square = square_form(exact)
    return seconds, max(abs(r - square[i, j]) for r, (i, j) in zip(found, pairs, strict=True))


def wide_in_memory() -> tuple[int, Row]:
    """RDM of 500 images at block 4, 524,288 features, in memory."""
    features = some_features(500, 524_288)
    return 500, measured(lambda: compute_rdm(features), features.nbytes)


def many_images() -> tuple[int, Row]:
    """RDM of 10,000 images at the compressed output, 2,048 features."""
    features = some_features(10_000, 2_048)
    return 10_000, measured(lambda: compute_rdm(features), features.nbytes)


def spilled() -> tuple[int, Row]:
    """RDM of 5,000 images, 262,144 features, from a temporary file of 5.2 GB."""
    features = SpilledFeatures(5_000, 262_144)
    for seed in range(50):
        features.append(some_features(100, 262_144, seed))
    return 5_000, measured(lambda: compute_rdm(features), 4 * 5_000 * 262_144)


def ranking_many_images() -> tuple[int, Row]:
    """Similarity of 4 RDMs of 10,000 images, 50 million pairs each."""
    rdms = some_rdms(4, 10_000)
    return 10_000, measured(lambda: similarity_matrix(rdms), rdms.nbytes)


def similarity_of_a_hundred() -> tuple[int, Row]:
    """Similarity of 100 RDMs of 500 images, 4,950 pairs of networks."""
    rdms = some_rdms(100, 500)
    return 500, measured(lambda: similarity_matrix(rdms), rdms.nbytes)


def bootstrap_of_a_hundred() -> tuple[int, Row]:
    """Exact bootstrap of those: 100 resamples (ten times that for the default of 1,000)."""
    rdms = some_rdms(100, 500)
    return 500, measured(lambda: bootstrap_similarity(rdms, 100, 0), rdms.nbytes)


def permutations_of_a_hundred() -> tuple[int, Row]:
    """Randomisation of the condition labels of those: 100 permutations."""
    rdms = some_rdms(100, 500)
    return 500, measured(lambda: permutation_p(rdms, None, 100, 0), rdms.nbytes)


def similarity_at_2000_images() -> tuple[int, Row]:
    """Similarity of 100 RDMs of 2,000 images, 2 million pairs each."""
    rdms = some_rdms(100, 2_000)
    return 2_000, measured(lambda: similarity_matrix(rdms), rdms.nbytes)


def fifty_targets() -> tuple[int, Row]:
    """Rankings of 100 networks for 50 targets, with an exact bootstrap of 100 resamples."""
    rdms = some_rdms(150, 500)
    targets, bank = rdms[:50], rdms[50:]
    return 500, measured(
        lambda: resampled_similarity(targets, bootstrap_counts(500, 100, 0), others=bank),
        rdms.nbytes,
    )


CASES = {
    function.__name__.replace("_", " "): function
    for function in (
        wide_in_memory,
        many_images,
        spilled,
        ranking_many_images,
        similarity_of_a_hundred,
        bootstrap_of_a_hundred,
        permutations_of_a_hundred,
        similarity_at_2000_images,
        fifty_targets,
    )
}


def some_rdms(m: int, n: int) -> np.ndarray:
    """Return (m, p) float32 RDMs that correlate."""
    rng = np.random.default_rng(0)
    p = n * (n - 1) // 2
    common = rng.uniform(0, 1, p).astype(np.float32)
    return np.stack([common + rng.uniform(0, 1, p).astype(np.float32) for _ in range(m)])


def measured(work: Callable[[], object], input_bytes: int) -> Row:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return {
        "cpu_s": time.process_time() - cpu,
        "wall_s": time.perf_counter() - wall,
        "input_mb": input_bytes / 1e6,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
        "peak_before_mb": before / 1e3,
    }


def in_a_process(name: str) -> Row:
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = "1"
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        images, row = pool.apply(CASES[name])
    row = {"case": name, "images": images, **row}
    show(row)
    return row


def show(row: Row) -> None:
    print("  ".join(str(cell(value)) for value in row.values()), flush=True)


if __name__ == "__main__":
    main()
