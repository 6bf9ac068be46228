"""Compare the RDMs of all networks at one layer.

Reads one RDM file a network; those without the layer are left out. Writes a row for each pair:
Spearman similarity, its bootstrap interval over images, p of a randomisation of condition labels.
"""

from taskrsa.analysis.tables import with_groups
from taskrsa.analysis.taxonomy import similarity_table
from taskrsa.entry import run
from taskrsa.io.files import write_table
from taskrsa.rsa.stacks import having_layer, stack_rdms


def main(
    layer: str, rdms: list[str], resamples: int, permutations: int, seed: int, table: str
) -> None:
    stacked = stack_rdms(having_layer(rdms, layer), layer)
    rows = similarity_table(stacked, layer, resamples, permutations, seed)
    write_table(with_groups(rows, stacked.n_groups), table)


if __name__ == "__main__":
    run(main)
