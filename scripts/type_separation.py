"""Test, layer by layer, whether networks of one task type are more alike than others.

Reads the RDMs of the trained bank, of the random-weight bank, of the pixels and of the labels.
Writes one row for every layer and set of controls: none; the pixel RDM, the mean random-weight RDM,
or both partialled out.
"""

from taskrsa.analysis.tables import separation_rows
from taskrsa.entry import run
from taskrsa.io.files import write_table
from taskrsa.rsa.rdm_file import stack_rdms


def main(
    layers: list[str],
    types: dict,
    clusters: int,
    permutations: int,
    seed: int,
    trained: list[str],
    random: list[str],
    pixels: str,
    labels: list[str],
    table: str,
) -> None:
    rows = []
    pixel_rdm = stack_rdms([pixels], "pixels")
    for layer in layers:
        rows += separation_rows(
            layer,
            stack_rdms(trained, layer),
            types,
            clusters,
            permutations,
            seed,
            random=stack_rdms(random, layer),
            pixels=pixel_rdm,
        )
    if labels:
        stacked = stack_rdms(labels, "labels")
        rows += separation_rows(
            "labels", stacked, types, clusters, permutations, seed, pixels=pixel_rdm
        )
    write_table(rows, table)


if __name__ == "__main__":
    run(main)
