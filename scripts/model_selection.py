"""Ask whether the similarity of networks predicts transfer (section 6.3, claims C7 and C8).

Reads the affinities, the bank's matrices under every measure of similarity, and the RDMs of bank
and small models. Writes one row for every measure and target: the correlation over sources of
similarity with affinity and the rank of the first choice; then their means. Beside the measures
stand the small models as queries, a random order and, where it is known, the sources' quality at
their own tasks.
"""

import numpy as np
import pandas as pd
from taskrsa.analysis.selection import baseline_rows, selection_rows, with_published
from taskrsa.analysis.tables import read_affinity, with_groups
from taskrsa.entry import run
from taskrsa.io.files import read_table, write_table
from taskrsa.rsa.comparison import compare, resampled
from taskrsa.rsa.inference import resampled_similarity, seed_means
from taskrsa.rsa.measures import MEASURES
from taskrsa.rsa.similarity import similarity_between
from taskrsa.rsa.stacks import load_stacks, stack_rdms

SMALL_MODELS = "RSA, small models as queries"


def main(
    affinity: str,
    kind: str,
    measures: list[str],
    bank: list[str],
    small: list[str],
    tasks: list[str],
    resamples: int,
    seed: int,
    selection: str,
    layer: str,
    quality: str | None = None,
) -> None:
    """`kind` is measured or published; `small` holds the files of all `tasks` of the first seed,
    then of the next; `quality` is what the sources have learnt, where they were trained here."""
    transfer = read_affinity(affinity)
    sources = list(transfer.index)
    rows, reference = [], None
    for name, measure in MEASURES.items():
        stacked = stack_rdms(measures, name).only(sources)
        counts = stacked.counts(resamples, seed)
        similarity = pd.DataFrame(compare(name, stacked.rdms, names=sources), sources, sources)
        draws = resampled(name, stacked.rdms, counts, stacked.groups)
        rows += selection_rows(
            kind, name, measure.label, similarity, draws, transfer, reference=reference
        )
        # The paper's own measure comes first; the others are compared with it.
        reference = reference or (similarity, draws)

    of_bank, of_small = load_stacks(bank, small, layer, "compressed")
    of_bank = of_bank.only(sources)
    counts = of_bank.counts(resamples, seed)
    names = {"names": sources, "other_names": of_small.models}
    estimate = similarity_between(of_bank.rdms, of_small.rdms, **names)
    drawn = resampled_similarity(of_bank.rdms, counts, others=of_small.rdms, groups=of_bank.groups)
    # The mean over the seeds of each task.
    found = np.concatenate([estimate[None], drawn])
    by_seed = found.reshape(1 + resamples, len(sources), -1, len(tasks)).transpose(0, 2, 3, 1)
    found = seed_means(by_seed, seed).transpose(0, 2, 1)
    similarity = pd.DataFrame(found[0], sources, tasks)
    rows += selection_rows(
        kind, "rsa_small", SMALL_MODELS, similarity, found[1:], transfer, reference=reference
    )

    scores = None
    if quality:
        scores = read_table(quality).set_index("model")["error_removed"].loc[sources]
    rows += baseline_rows(kind, transfer, scores, reference=reference)
    write_table(with_groups(with_published(rows), of_bank.n_groups), selection)


if __name__ == "__main__":
    run(main)
