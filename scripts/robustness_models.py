"""Rank the bank by small models that differ in width, stage of training or seed (claim C11).

Reads the RDMs of the bank and of the small models at each value of the factor. Writes how far
their rankings agree with those by the bank's networks of the tasks, and with each other.
"""

from taskrsa.analysis.robustness import models_rows, seeds_rows
from taskrsa.entry import run
from taskrsa.io.files import write_table
from taskrsa.rsa.similarity import similarity_between, similarity_matrix
from taskrsa.rsa.stacks import load_stacks


def main(
    factor: str,
    values: list[int],
    default: int,
    bank: list[str],
    small: list[str],
    tasks: list[str],
    table: str,
    layer: str,
) -> None:
    """`small` holds the files of all `tasks` at the first of `values`, then at the next;
    `default` is the value that the others are compared with."""
    of_bank, of_small = load_stacks(bank, small, layer, "compressed")
    sources = of_bank.models
    rankings = similarity_between(
        of_small.rdms, of_bank.rdms, names=of_small.models, other_names=sources
    ).reshape(len(values), len(tasks), -1)
    among_bank = similarity_matrix(of_bank.rdms, names=sources)
    of_tasks = among_bank[[sources.index(task) for task in tasks]]
    if factor == "seed":
        rows = seeds_rows(rankings, of_tasks, tasks, sources)
    else:
        rows = models_rows(factor, values, rankings, of_tasks, tasks, sources, default=default)
    write_table(rows, table)


if __name__ == "__main__":
    run(main)
