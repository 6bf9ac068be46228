"""Rank the bank by small models from fewer images than there are (supplement S3, claim C11)."""

from taskrsa.analysis.ranking import images_rows
from taskrsa.analysis.tables import common_images
from taskrsa.entry import run
from taskrsa.io.files import write_table
from taskrsa.rsa.rdm import n_images_of
from taskrsa.rsa.rdm_file import stack_rdms


def main(
    bank: list[str],
    small: list[str],
    tasks: list[str],
    sizes: list[int],
    subsets: int,
    seed: int,
    table: str,
) -> None:
    """`small` holds one file for each of `tasks`."""
    stacks = [stack_rdms(bank, "compressed"), stack_rdms(small, "compressed")]
    of_bank, of_small = common_images(stacks)
    n_images = n_images_of(of_bank.shape[1])
    rows = images_rows(of_small, of_bank, n_images, sizes, subsets, seed, tasks, stacks[0].models)
    write_table(rows, table)


if __name__ == "__main__":
    run(main)
