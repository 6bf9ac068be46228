"""Compare the task similarities of the bank with Taskonomy's, from its published affinities.

Reads the pickle of affinities (checked by hash) and the RDMs of the bank's tasks that have them.
Writes the affinity matrix, the task similarity made from it, and the agreement of the two
similarity matrices with intervals (paper Fig. 6; published: Pearson 0.62, Spearman 0.65).
"""

import pandas as pd
from taskrsa.entry import run
from taskrsa.rsa.affinity import affinity_matrix, read_affinity_pickle, transfer_similarity
from taskrsa.rsa.rdm_file import stack_rdms
from taskrsa.rsa.tables import agreement_rows, long_table, write_table


def main(
    affinities: str,
    sha256: str,
    rdms: list[str],
    resamples: int,
    permutations: int,
    seed: int,
    agreement: str,
    affinity: str,
    similarity: str,
) -> None:
    stacked = stack_rdms(rdms, "compressed")
    names = list(stacked.models)
    matrix = affinity_matrix(read_affinity_pickle(affinities, sha256), names)
    transfer = pd.DataFrame(transfer_similarity(matrix), index=names, columns=names)
    write_table(long_table(matrix, "source", "target", "affinity"), affinity)
    write_table(long_table(transfer, "model_a", "model_b", "rs"), similarity)
    write_table(agreement_rows(stacked, matrix, resamples, permutations, seed), agreement)


if __name__ == "__main__":
    run(main)
