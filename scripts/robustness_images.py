"""Rank the bank by small models from fewer images than there are (supplement S3, claim C11)."""

from taskrsa.analysis.robustness import images_rows
from taskrsa.entry import run
from taskrsa.io.files import write_table
from taskrsa.rsa.stacks import load_stacks


def main(
    bank: list[str],
    small: list[str],
    tasks: list[str],
    sizes: list[int],
    subsets: int,
    seed: int,
    table: str,
    layer: str,
) -> None:
    """`small` holds one file for each of `tasks`."""
    of_bank, of_small = load_stacks(bank, small, layer, "compressed")
    write_table(images_rows(of_small, of_bank, tasks, sizes, subsets, seed), table)


if __name__ == "__main__":
    run(main)
