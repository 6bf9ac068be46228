"""Compare the task similarities of the bank with those that transfer affinities imply.

Reads a table of affinities of each kind (measured on this bank, published for Taskonomy's) and the
RDMs of the bank. Writes the task similarity made from each, and the agreement of the similarity
matrices with intervals (Fig. 6, claim C4), the published one last.
"""

import pandas as pd
from taskrsa.analysis.affinity import agreement_rows, published_agreement, transfer_similarity
from taskrsa.analysis.tables import long_table, read_affinity, with_groups
from taskrsa.entry import run
from taskrsa.io.files import write_table
from taskrsa.rsa.stacks import stack_rdms


def main(
    kinds: list[str],
    affinities: list[str],
    rdms: list[str],
    resamples: int,
    permutations: int,
    seed: int,
    agreement: str,
    similarities: list[str],
    layer: str = "compressed",
) -> None:
    bank = stack_rdms(rdms, layer)
    rows = []
    for kind, path, similarity in zip(kinds, affinities, similarities, strict=True):
        matrix = read_affinity(path)
        names = list(matrix.index)
        transfer = pd.DataFrame(transfer_similarity(matrix), index=names, columns=names)
        write_table(long_table(transfer, "model_a", "model_b", "rs"), similarity)
        found = agreement_rows(bank.only(names), matrix, resamples, permutations, seed)
        rows += [{"affinities": kind, **row} for row in found]
    write_table(with_groups([*rows, published_agreement()], bank.n_groups), agreement)


if __name__ == "__main__":
    run(main)
