"""Measure how far each choice of method moves the similarities at the compressed output.

Reads the RDMs made with the run's own choices and with others. Writes one row a choice.
"""

from taskrsa.analysis.tables import preset_rows
from taskrsa.entry import run
from taskrsa.io.files import write_table
from taskrsa.rsa.rdm_file import stack_rdms


def main(
    rdms: list[str], variant_rdms: list[str], choices: dict, variants: dict, table: str
) -> None:
    own = stack_rdms(rdms, "compressed")
    others = {name: stack_rdms(variant_rdms, name) for name in variants}
    write_table(preset_rows(own, others, choices, variants), table)


if __name__ == "__main__":
    run(main)
