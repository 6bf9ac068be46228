"""Ask how far the similarity of the labels explains the similarity of the networks (claim C3).

Reads the similarity table. Writes, for every layer, the Spearman correlation over pairs of tasks
with a permutation of the tasks.
"""

from taskrsa.analysis.taxonomy import label_agreement_rows
from taskrsa.entry import run
from taskrsa.io.files import read_table, write_table


def main(similarity: str, permutations: int, seed: int, table: str) -> None:
    write_table(label_agreement_rows(read_table(similarity), permutations, seed), table)


if __name__ == "__main__":
    run(main)
