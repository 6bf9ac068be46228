"""Rankings by small models that are trained in earnest: what another training puts first."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from small_trainings import digit_tasks, trained_bank, trained_rdm
from taskrsa.analysis.advice import ROUNDING, behind_first, rank_networks
from taskrsa.rsa.inference import bootstrap_counts, resampled_similarity, retrained
from taskrsa.rsa.similarity import similarity_between
from taskrsa.rsa.stacks import RDMStack

TASKS, SEEDS = ("digit", "parity", "edges across", "image"), 5
STEPS = 60


@pytest.fixture(scope="module")
def trained() -> tuple[np.ndarray, np.ndarray]:
    """Return the RDMs of six networks of tasks, and of five small models of each of four."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    tasks = digit_tasks()
    bank = trained_bank(dict(list(tasks.items())[:6]), steps=60)
    seeds = range(SEEDS)
    small = [[trained_rdm(tasks[task], seed, steps=STEPS) for seed in seeds] for task in TASKS]
    torch.set_num_threads(threads)
    return bank, np.array(small)


def test_the_set_that_may_be_first_holds_the_first_of_other_trainings(trained):
    bank, tasks = trained
    counts = bootstrap_counts(150, 60, 0)
    held, before = [], []
    for small in tasks:
        values = similarity_between(small, bank)
        draws = resampled_similarity(small, counts, others=bank)
        # As certain of the images as thousands would be: what counts is the training.
        draws = values + (draws - draws.mean(axis=0)) / 4
        for chosen in itertools.combinations(range(SEEDS), 2):
            others = [seed for seed in range(SEEDS) if seed not in chosen]
            firsts, mean = values[others].argmax(axis=1), values[list(chosen)].mean(axis=0)
            ways = (retrained(draws[:, list(chosen)], chosen), draws[:, list(chosen)].mean(axis=1))
            for found, one in zip((held, before), ways, strict=True):
                found.append((~(behind_first(mean, one)[1] > ROUNDING))[firsts].mean())
    assert np.mean(held) >= 0.95
    assert np.mean(before) < np.mean(held)


def test_a_ranking_by_two_trainings_is_less_certain_than_images_alone_say(trained):
    bank, tasks = trained
    counts = bootstrap_counts(150, 60, 0)
    bank = RDMStack(tuple("abcdef"), bank)

    def ranked(seeds: list[int]):
        target = RDMStack(tuple(f"seed {seed}" for seed in seeds), tasks[1][seeds])
        table = rank_networks(target, bank, counts, 9, 0)
        return (table["ci_high"] - table["ci_low"]).mean(), table["n_seeds"].iloc[0]

    (one, n_one), (two, n_two) = ranked([0]), ranked([0, 1])
    assert (n_one, n_two) == (1, 2)
    assert two > one
