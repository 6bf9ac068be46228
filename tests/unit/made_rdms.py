"""RDMs of a small bank and of small models, and files of RDMs, for tests of what compares them."""

from dataclasses import replace

import numpy as np
from taskrsa.io.files import digest_of
from taskrsa.rsa.rdm import compute_rdm, condensed
from taskrsa.rsa.rdm_file import Origin, write_rdms
from taskrsa.rsa.stacks import RDMStack

N = 36
SOURCES = ("a", "b", "c", "d", "e", "f")
TASKS = ["b", "a", "d"]  # in an order of their own


def stack(names, rdms):
    return RDMStack(tuple(names), np.asarray(rdms))


def small_models(rdms, tasks=TASKS):
    """Return (S, T, p) RDMs as one stack: the tasks of the first seed, then those of the next."""
    names = [f"small {task}, seed {seed}" for seed in range(len(rdms)) for task in tasks]
    return stack(names, np.reshape(rdms, (len(names), -1)))


def bank_and_small(n_seeds=3, seed=0, noise=1.5):
    """Return small models (S, T, p) near their own bank networks, and a bank of two groups, a-c
    and d-f."""
    rng = np.random.default_rng(seed)
    p = N * (N - 1) // 2
    group = np.repeat(rng.uniform(size=(2, p)), 3, axis=0)
    bank = group + 0.6 * rng.uniform(size=(6, p))
    own = bank[[SOURCES.index(task) for task in TASKS]]
    small = own + noise * rng.uniform(size=(n_seeds, 3, p))
    return small.astype(np.float32), bank.astype(np.float32)


def mixtures(seed=0):
    """Return a bank of mixtures of three RDMs, and small models whose mixtures are a bit off.

    The rankings then differ for a reason, not by the noise of the images alone.
    """
    rng = np.random.default_rng(seed)
    p = N * (N - 1) // 2
    parts, shares = rng.uniform(size=(3, p)), rng.dirichlet(np.ones(3), size=6)
    off = shares[[1, 0, 3]] + 0.5 * rng.dirichlet(np.ones(3), size=3)
    bank = shares @ parts + 0.1 * rng.uniform(size=(6, p))
    return off @ parts + 0.1 * rng.uniform(size=(3, 3, p)), bank


def stack_of(models, seed=0, features=None, digest="stimuli", **options):
    """Return the RDMs of given or random features of 12 images, one row a model."""
    rng = np.random.default_rng(seed)
    features = features or {model: rng.normal(size=(12, 30)) for model in models}
    results = [compute_rdm(features[model], **options) for model in models]
    kept = np.setdiff1d(np.arange(12), np.concatenate([found.dropped for found in results]))
    squares = [found.square()[np.ix_(kept, kept)] for found in results]
    rdms = np.array([condensed(square) for square in squares], dtype=np.float32)
    return RDMStack(tuple(models), rdms, kept, 12 - len(kept), digest)


# --- files ---

IMAGES = [f"point_{i}" for i in range(8)]
LAYERS = ["block1", "compressed"]


def features(seed, n=8, dead=()):
    values = np.random.default_rng(seed).standard_normal((n, 50)).astype(np.float32)
    values[list(dead)] = 0
    return values


def write(path, model="edges", seed=0, dead=(), images=IMAGES, layers=LAYERS, **changes):
    """Write the RDMs of random features; images in `dead` are dropped at the second layer."""
    results = [
        compute_rdm(features(seed, len(images)), constant="drop"),
        compute_rdm(features(seed + 100, len(images), dead), constant="drop"),
    ]
    origin = replace(Origin(model, "edge2d", images, digest_of(images), centre=True), **changes)
    rdms = np.array([result.dissimilarities for result in results])
    write_rdms(path, rdms, layers, origin)
    return path
