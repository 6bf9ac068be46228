"""Measure how often intervals hold the truth, and how often tests find what is not there.

Run from anywhere:

    .venv/bin/python tests/benchmarks/coverage.py --out coverage.csv     (a few minutes of CPU time)
    .venv/bin/python tests/benchmarks/coverage.py --quick --out coverage.csv

Networks are made up of 20 latent variables of images, which they weigh as their type does and more
or less of their own: similarities range as widely as those of the public bank. The truth is the
mean similarity over eight sets of 1,000 images, or over a hundred of scenes. Affinities and scores
are the true similarities and noise, so that the truth of their agreement is known as well; so is
that of networks which resemble the first ones, as small models do. The small models of other
trainings are trained in earnest (`tests/small_trainings.py`). Every row is a share: of sets of
images, or of trainings, in which an interval holds the truth (nominal .95) or a test finds what is
not there (nominal .05); `error` is its standard error, as of independent sets.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "tests")]

from taskrsa.analysis.advice import ROUNDING, behind_first  # noqa: E402
from taskrsa.analysis.ranking import ranking_agreement  # noqa: E402
from taskrsa.analysis.untrained import adjusted, untrained_columns  # noqa: E402
from taskrsa.rsa.inference import (  # noqa: E402
    agreement_interval,
    bootstrap_counts,
    confidence_interval,
    mantel_p,
    permutation_p,
    resampled_similarity,
    retrained,
)
from taskrsa.rsa.similarity import similarity_between, similarity_matrix  # noqa: E402

ALPHA, LATENT, WIDTH, TYPES = 0.05, 20, 40, 4
SETS = {50: 40, 100: 30, 200: 15}  # of images, in each world, by their number
SMALL = 6  # networks that resemble as many of a world's
FRAMES = 3  # of one scene
DESIGNS = 20  # networks tested against untrained ones, half of them untrained themselves
Found = dict[tuple[str, str, int], list[float]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="far fewer sets: does it run?")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--out", type=Path, required=True, help="CSV to write")
    options = parser.parse_args()
    few = 20 if options.quick else 1
    parts = [partial(over_images, world, few) for world in range(1 if options.quick else 4)]
    parts += [
        partial(null, 200 // few),
        partial(over_untrained, 200 // few),
        partial(over_groups, 50 // few),
        partial(over_trainings, *((2, 3) if options.quick else (8, 6))),
    ]
    found: Found = defaultdict(list)
    with ProcessPoolExecutor(options.jobs) as pool:
        for part in [pool.submit(on_one_thread, one) for one in reversed(parts)]:
            for key, values in part.result().items():
                found[key] += values
    rows = [row_of(key, np.array(values)) for key, values in found.items()]
    table = pd.DataFrame(rows).sort_values(["what", "setting", "images"], kind="stable")
    table.to_csv(options.out, index=False, float_format="%.4g", lineterminator="\n")
    print(options.out.read_text())


def on_one_thread(part: Callable[[], Found]) -> Found:
    import torch

    torch.set_num_threads(1)
    with threadpool_limits(1):
        return dict(part())


def row_of(key: tuple[str, str, int], values: np.ndarray) -> dict:
    what, setting, images = key
    share = values.mean()
    return {
        "what": what,
        "setting": setting,
        "images": images,
        "sets": len(values),
        "nominal": ALPHA if what.startswith("test") else 1 - ALPHA,
        "found": share,
        # Of each set a share or yes or no: what it varies by is counted, not assumed.
        "error": values.std() / np.sqrt(len(values)),
    }


# --- networks made up ---


def world_of(seed: int, m: int = 12) -> np.ndarray:
    """Return the weights (m, LATENT, WIDTH) of networks of four types."""
    rng = np.random.default_rng(seed)
    of_type = 0.8 * rng.normal(size=(TYPES, LATENT))[np.arange(m) % TYPES]
    own = 0.5 * rng.normal(size=(m, LATENT)) * rng.uniform(0.4, 1.6, m)[:, None]
    return np.exp(of_type + own)[..., None] * rng.normal(size=(m, LATENT, WIDTH)) / 3


def rdms_of(weights: np.ndarray, latent: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return RDMs (m, p) of the networks, over images of these latent variables (n, LATENT)."""
    upper, rows = np.triu_indices(len(latent), 1), []
    for one in weights:
        features = np.maximum(latent @ one + 0.2 * rng.normal(size=(len(latent), WIDTH)), 0)
        rows.append((1 - np.corrcoef(features - features.mean(axis=0)))[upper].astype(np.float32))
    return np.array(rows)


def shown(weights: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    return rdms_of(weights, rng.normal(size=(n, LATENT)), rng)


def truth_of(weights: np.ndarray, seed: int) -> np.ndarray:
    rng = np.random.default_rng([99, seed])
    return np.mean([similarity_matrix(shown(weights, 1000, rng)) for _ in range(8)], axis=0)


# --- images ---


def over_images(world: int, few: int) -> Found:
    """Count intervals over images: of similarities, of their agreement, of what may be first."""
    found: Found = defaultdict(list)
    rng = np.random.default_rng([1, world])
    bank = world_of(world)
    like = np.exp(0.4 * rng.normal(size=(SMALL, LATENT, 1)))
    weights = np.concatenate([bank, bank[:SMALL] * like])
    truth = truth_of(weights, world)
    m = len(bank)
    spread = truth[:m, :m][~np.eye(m, dtype=bool)].std()
    affinity = truth[:m, :m] + 0.8 * spread * rng.normal(size=(m, m))
    scores = truth[0, 1:m] + 0.9 * truth[0, 1:m].std() * rng.normal(size=m - 1)
    upper = np.triu_indices(m, 1)
    true = agreements(truth[None], affinity, scores)
    for n, sets in SETS.items():
        for at in range(max(1, sets // few)):
            rdms = shown(weights, n, np.random.default_rng([2, world, n, at]))
            estimate = similarity_matrix(rdms)
            draws = resampled_similarity(rdms, bootstrap_counts(n, 150, at))
            low, high = confidence_interval(draws)
            held = ((low <= truth) & (truth <= high))[upper]
            found["rs", "all pairs", n].append(held.mean())
            found["rs", "most alike pair", n].append(held[truth[upper].argmax()])
            values = agreements(np.concatenate([estimate[None], draws]), affinity, scores)
            for name, drawn in values.items():
                for kind, ends in (
                    ("moved by its bias", agreement_interval(drawn)),
                    ("percentile", confidence_interval(drawn[1:])),
                ):
                    found[name, kind, n].append(ends[0] <= true[name][0] <= ends[1])
            behind = behind_first(estimate[0, 1:m], draws[:, 0, 1:m])[1]
            found["set that may be first", "images", n].append(
                not behind[truth[0, 1:m].argmax()] > ROUNDING
            )
    return found


def agreements(
    similarity: np.ndarray, affinity: np.ndarray, scores: np.ndarray
) -> dict[str, np.ndarray]:
    """Return C4 to C7 and C10, each (R,), of similarities (R, m + SMALL, m + SMALL)."""
    m = len(affinity)
    other = ~np.eye(m, dtype=bool)
    ours = similarity[:, :m, :m]
    by_task = ours[:, other].reshape(len(ours), m, m - 1)
    by_small = similarity[:, m:, :m][:, other[:SMALL]].reshape(len(ours), SMALL, m - 1)
    of_pairs, of_small_pairs = (np.tril_indices(n, -1) for n in (m, SMALL))
    found = {
        "C4": ranking_agreement(ours[:, *of_pairs], (affinity + affinity.T)[of_pairs]),
        "C5": ranking_agreement(by_small, by_task[:, :SMALL]),
        "C6": ranking_agreement(
            similarity[:, m:, m:][:, *of_small_pairs], ours[:, :SMALL, :SMALL][:, *of_small_pairs]
        ),
        "C7": ranking_agreement(by_task, affinity[other].reshape(m, m - 1)),
        "C10": ranking_agreement(ours[:, 0, 1:], scores),
    }
    return {
        f"{claim}, {how}": values.reshape(len(ours), -1).mean(axis=1)
        for claim, agreement in found.items()
        for how, values in agreement.items()
    }


# --- tests where there is nothing to find ---


def null(sets: int) -> Found:
    found: Found = defaultdict(list)
    weights = world_of(0)
    for at in range(sets):
        rng = np.random.default_rng([3, at])
        pair = [shown(weights[[one]], 40, rng) for one in (0, 1)]
        p = permutation_p(*pair, 199, at)
        found["test of a similarity", "condition labels", 40].append(p.mean() <= ALPHA)
        noise = rng.normal(size=(2, 12, 12))
        first, second = (one + one.T - np.diag(2 * np.diag(one) - 1) for one in noise)
        found["test of matrices (Mantel)", "tasks", 0].append(
            mantel_p(first, second, 199, at)[1] <= ALPHA
        )
    return found


# --- beside untrained networks ---


def over_untrained(sets: int) -> Found:
    """Count stars of networks that are untrained as well, which nothing tells from the others.

    Half of the networks are trained: their stars are right, and of all stars the others' share is
    that of false discoveries.
    """
    found: Found = defaultdict(list)
    names = [f"network{i}" for i in range(DESIGNS)]
    is_untrained = np.arange(DESIGNS) >= DESIGNS // 2
    for at in range(sets):
        rng = np.random.default_rng([6, at])
        trained = world_of(at, 1 + DESIGNS // 2)
        raw = rng.normal(size=(DESIGNS, LATENT, WIDTH)) / 3  # as many untrained as are needed
        rdms = shown(np.concatenate([trained, raw]), 60, rng)
        similarity = similarity_matrix(rdms)[0, 1:]
        draws = resampled_similarity(rdms, bootstrap_counts(60, 100, at))[:, 0, 1:]
        for k in (1, 2, 3, 5):
            controls = [f"control{i}" for i in range(k)]
            compared = dict.fromkeys(names, controls)
            n = DESIGNS + k
            table = untrained_columns([*names, *controls], similarity[:n], draws[:, :n], compared)
            p, setting = table["p_untrained"].to_numpy(), f"{k} untrained"
            false = (p <= ALPHA)[is_untrained].mean()
            found["test against untrained networks", setting, 60].append(false)
            starred = adjusted(p) < ALPHA
            false = (starred & is_untrained).sum() / max(1, starred.sum())
            found["test by stars, share of false ones", setting, 60].append(false)
    return found


# --- images of one scene ---


def over_groups(sets: int) -> Found:
    """Count intervals where three images show one scene, with and without drawing scenes."""
    found: Found = defaultdict(list)
    weights = world_of(0)[:4]
    upper, scenes = np.triu_indices(4, 1), np.repeat(np.arange(200 // FRAMES), FRAMES)

    def photographed(shared: float, of: int, at: int) -> np.ndarray:
        rng = np.random.default_rng([of, round(100 * shared), at])
        latent = np.sqrt(shared) * rng.normal(size=(scenes[-1] + 1, LATENT))[scenes]
        latent += np.sqrt(1 - shared) * rng.normal(size=latent.shape)
        return rdms_of(weights, latent, rng)

    for shared in (0.5, 0.8, 0.95):
        # Pairs of one scene are alike for all networks: the truth is that of such sets.
        others = [similarity_matrix(photographed(shared, 5, at)) for at in range(2 * sets)]
        truth = np.mean(others, axis=0)
        for at in range(max(1, sets)):
            rdms = photographed(shared, 4, at)
            for name, groups in (("images", None), ("scenes", scenes)):
                counts = bootstrap_counts(len(scenes), 100, at, groups=groups)
                drawn = resampled_similarity(rdms, counts, groups=groups)
                low, high = confidence_interval(drawn)
                held = ((low <= truth) & (truth <= high))[upper].mean()
                setting = f"{name} drawn, {shared:.0%} shared in a scene"
                found["rs, three images a scene", setting, len(scenes)].append(held)
    return found


# --- trainings ---


def over_trainings(n_tasks: int, n_seeds: int) -> Found:
    """Count how often the set that may be first holds the first choice of another training.

    Images are as certain as those of a run of a few thousand: a quarter of the deviation over the
    150 stimuli, so that what counts is how far trainings differ. Every two and three seeds of a
    task rank the bank, and every other seed is asked.
    """
    from small_trainings import digit_tasks, trained_bank, trained_rdm

    found: Found = defaultdict(list)
    tasks = digit_tasks()
    bank = trained_bank(tasks)
    n_images = round((1 + np.sqrt(1 + 8 * bank.shape[1])) / 2)
    counts = bootstrap_counts(n_images, 100, 0)
    for task, labels in list(tasks.items())[:n_tasks]:
        small = np.array([trained_rdm(labels, seed) for seed in range(n_seeds)])
        values = similarity_between(small, bank)
        drawn = resampled_similarity(small, counts, others=bank)
        draws = values + (drawn - drawn.mean(axis=0)) / 4
        by_way = defaultdict(list)
        for chosen in sets_of_seeds(n_seeds):
            others = [seed for seed in range(n_seeds) if seed not in chosen]
            mean = values[chosen].mean(axis=0)
            ways = {"images drawn": draws[:, chosen].mean(axis=1)}
            ways["images and trainings drawn"] = retrained(draws[:, chosen], [len(task), *chosen])
            for way, one in ways.items():
                may_be = ~(behind_first(mean, one)[1] > ROUNDING)
                firsts = may_be[values[others].argmax(axis=1)]
                by_way[f"{len(chosen)} seeds, {way}"].append(firsts.mean())
        for way, shares in by_way.items():
            # Sets of seeds overlap: a task is one number.
            found["set that may be first, another training", way, n_images].append(np.mean(shares))
    return found


def sets_of_seeds(n_seeds: int) -> list[list[int]]:
    sizes = [size for size in (2, 3) if size < n_seeds]
    return [list(one) for size in sizes for one in itertools.combinations(range(n_seeds), size)]


if __name__ == "__main__":
    main()
