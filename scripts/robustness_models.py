"""Rank the bank by small models that differ in width, stage of training or seed (claim C11).

Reads the RDMs of the bank and of the small models at each value of the factor. Writes how far
their rankings agree with those by the bank's networks of the tasks, and with each other.
"""

from taskrsa.analysis.ranking import models_rows, seeds_rows
from taskrsa.analysis.tables import common_images
from taskrsa.entry import run
from taskrsa.io.files import write_table
from taskrsa.rsa.rdm_file import stack_rdms
from taskrsa.rsa.similarity import similarity_between, similarity_matrix


def main(
    factor: str,
    values: list[int],
    default: int,
    bank: list[str],
    small: list[str],
    tasks: list[str],
    table: str,
) -> None:
    """`small` holds the files of all `tasks` at the first of `values`, then at the next;
    `default` is the value that the others are compared with."""
    stacks = [stack_rdms(bank, "compressed"), stack_rdms(small, "compressed")]
    of_bank, of_small = common_images(stacks)
    sources = stacks[0].models
    rankings = similarity_between(
        of_small, of_bank, names=stacks[1].models, other_names=sources
    ).reshape(len(values), len(tasks), -1)
    own = similarity_matrix(of_bank, names=sources)[[sources.index(task) for task in tasks]]
    if factor == "seed":
        rows = seeds_rows(rankings, own, tasks, sources)
    else:
        rows = models_rows(factor, values, rankings, own, tasks, sources, default=default)
    write_table(rows, table)


if __name__ == "__main__":
    run(main)
