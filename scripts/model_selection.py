"""Ask whether the similarity of networks predicts transfer (section 6.3, claims C7 and C8).

Reads tables of transfer, the bank's matrices under every measure of similarity, and the RDMs of
bank and small models; of a bank of RDM files these alone. Writes for each table of transfer one row
for every measure and target: the correlation over sources of similarity with transfer and the rank
of the first choice; then their means. Beside the measures stand the small models as queries,
similarity matrices made elsewhere, a random order and, where it is known, the sources' quality at
their own tasks.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from taskrsa.analysis.selection import baseline_rows, matrices_of, selection_rows, with_published
from taskrsa.analysis.tables import read_affinity, with_groups
from taskrsa.entry import run
from taskrsa.io.files import read_table, write_table
from taskrsa.rsa.alignment import alignment_matrix, resampled_alignment
from taskrsa.rsa.comparison import compare, resampled
from taskrsa.rsa.inference import resampled_similarity, seed_means
from taskrsa.rsa.measures import MEASURES
from taskrsa.rsa.similarity import similarity_between, similarity_matrix
from taskrsa.rsa.stacks import RDMStack, load_stacks, stack_rdms

SMALL_MODELS = "RSA, small models as queries"


@dataclass(frozen=True)
class Method:
    """A way to say how similar sources (rows) are to targets (columns)."""

    name: str
    label: str
    similarity: pd.DataFrame
    draws: np.ndarray | None = None  # (R, m, T) over resamples of the images
    is_given: bool = False  # made elsewhere: of many such methods the means say enough


def main(
    affinity: list[str],
    kinds: list[str],
    measures: list[str],
    bank: list[str],
    small: list[str],
    tasks: list[str],
    resamples: int,
    seed: int,
    selection: str,
    layer: str,
    quality: str | None = None,
    matrices: list[str] | None = None,
    where: dict | None = None,
    targets: list[str] | None = None,
) -> None:
    """`kinds` says what the tables `affinity` are: measured, published, win rates; `small` holds
    the files of all `tasks` of the first seed, then of the next; `quality` is what the sources have
    learnt, where they were trained here; `where` says which of the rows of `matrices` to take;
    `targets` are tables of rows to add, about targets of which the similarities are given."""
    transfers = dict(zip(kinds, map(read_affinity, affinity), strict=True))
    sources = list(next(iter(transfers.values())).index)
    of_bank = stack_rdms(bank, layer).only(sources)
    if measures:
        methods = _measured(measures, sources, resamples, seed)
    else:
        methods = _of_rdms(of_bank, resamples, seed)
    if small:
        stacks = load_stacks(bank, small, layer, "compressed")
        methods.append(_by_small_models(*stacks, sources, tasks, resamples, seed))
    for path in matrices or ():
        given = matrices_of(read_table(path), where or {})
        methods += [
            Method(name, f"{name.replace('_', ', ')} (from a file)", matrix, is_given=True)
            for name, matrix in given.items()
        ]
    scores = None
    if quality:
        scores = read_table(quality).set_index("model")["error_removed"].loc[sources]
    rows = []
    for kind, transfer in transfers.items():
        rows += _rows(kind, transfer, methods, scores)
    for path in targets or ():
        rows += read_table(path).to_dict("records")
    write_table(with_groups(with_published(rows), of_bank.n_groups), selection)


def _rows(
    kind: str, transfer: pd.DataFrame, methods: list[Method], quality: pd.Series | None
) -> list[dict]:
    """Return the rows of all methods and baselines, judged by one table of transfer."""
    # The paper's own measure comes first; the others are compared with it.
    reference = methods[0].similarity, methods[0].draws
    rows = []
    for at, one in enumerate(methods):
        known = (kind, one.name, one.label, one.similarity, one.draws, transfer)
        found = selection_rows(*known, reference=reference if at else None)
        rows += found[-1:] if one.is_given else found
    return rows + baseline_rows(kind, transfer, quality, reference=reference)


def _measured(paths: list[str], sources: list[str], resamples: int, seed: int) -> list[Method]:
    """Return all measures of similarity between the sources' features."""
    methods = []
    for name, measure in MEASURES.items():
        stacked = stack_rdms(paths, name).only(sources)
        counts = stacked.counts(resamples, seed)
        similarity = pd.DataFrame(compare(name, stacked.rdms, names=sources), sources, sources)
        draws = resampled(name, stacked.rdms, counts, stacked.groups)
        methods.append(Method(name, measure.label, similarity, draws))
    return methods


def _of_rdms(bank: RDMStack, resamples: int, seed: int) -> list[Method]:
    """Return both ways to compare RDMs that were made elsewhere."""
    counts, names = bank.counts(resamples, seed), bank.models
    ways = {
        "rsa": ("RSA", similarity_matrix, partial(resampled_similarity, groups=bank.groups)),
        "alignment": ("alignment of the RDMs", alignment_matrix, resampled_alignment),
    }
    return [
        Method(
            name,
            label,
            pd.DataFrame(matrix(bank.rdms, names=names), names, names),
            draws(bank.rdms, counts),
        )
        for name, (label, matrix, draws) in ways.items()
    ]


def _by_small_models(
    bank: RDMStack,
    small: RDMStack,
    sources: list[str],
    tasks: list[str],
    resamples: int,
    seed: int,
) -> Method:
    """Return the similarity of the sources to small models of the tasks, the mean over seeds."""
    bank = bank.only(sources)
    counts = bank.counts(resamples, seed)
    names = {"names": sources, "other_names": small.models}
    estimate = similarity_between(bank.rdms, small.rdms, **names)
    drawn = resampled_similarity(bank.rdms, counts, others=small.rdms, groups=bank.groups)
    # The mean over the seeds of each task.
    found = np.concatenate([estimate[None], drawn])
    by_seed = found.reshape(1 + resamples, len(sources), -1, len(tasks)).transpose(0, 2, 3, 1)
    found = seed_means(by_seed, seed).transpose(0, 2, 1)
    return Method("rsa_small", SMALL_MODELS, pd.DataFrame(found[0], sources, tasks), found[1:])


if __name__ == "__main__":
    run(main)
