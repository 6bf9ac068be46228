"""Measure how far each choice of method moves the similarities at the layer of the rankings.

Reads the RDMs made with the run's own choices and with others. Writes one row a choice; networks
that have no such choice are left out of it, and choices that fewer than three networks have.
"""

from taskrsa.analysis.taxonomy import preset_rows
from taskrsa.entry import run
from taskrsa.io.files import write_table
from taskrsa.rsa.stacks import having_layer, stack_rdms

FEWEST = 3  # networks: two have one similarity


def main(
    rdms: list[str],
    variant_rdms: list[str],
    choices: dict,
    variants: dict,
    table: str,
    layer: str = "compressed",
) -> None:
    """`choices` are the run's, `variants` those of each variant by name."""
    others = {}
    for name in variants:
        paths = having_layer(variant_rdms, name)
        if len(paths) >= FEWEST:
            others[name] = stack_rdms(paths, name)
    write_table(preset_rows(stack_rdms(rdms, layer), others, layer, choices, variants), table)


if __name__ == "__main__":
    run(main)
