"""Compare the RDMs of all models at one layer.

Reads one RDM file a model. Writes one row a pair: Spearman's rs, its bootstrap interval over
images, and the p value of the randomisation of condition labels.
"""

from taskrsa.analysis.tables import similarity_table
from taskrsa.entry import run
from taskrsa.io.files import write_table
from taskrsa.rsa.rdm_file import stack_rdms


def main(
    layer: str, rdms: list[str], resamples: int, permutations: int, seed: int, table: str
) -> None:
    stacked = stack_rdms(rdms, layer)
    write_table(similarity_table(stacked, layer, resamples, permutations, seed), table)


if __name__ == "__main__":
    run(main)
