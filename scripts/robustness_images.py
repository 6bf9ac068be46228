"""Rank the bank for tasks from fewer images than there are (supplement S3, claim C11).

By small models of the tasks or, where a run has none, by the bank's own networks of them.
"""

from taskrsa.analysis.robustness import images_rows
from taskrsa.entry import run
from taskrsa.io.files import write_table
from taskrsa.rsa.stacks import load_stacks


def main(
    bank: list[str],
    queries: list[str],
    tasks: list[str],
    sizes: list[int],
    subsets: int,
    seed: int,
    table: str,
    layer: str,
    query_layer: str,
) -> None:
    """`queries` holds one file for each of `tasks`."""
    of_bank, of_queries = load_stacks(bank, queries, layer, query_layer)
    write_table(images_rows(of_queries, of_bank, tasks, sizes, subsets, seed), table)


if __name__ == "__main__":
    run(main)
