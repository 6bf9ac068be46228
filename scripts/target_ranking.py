"""Rank the bank by similarity to the small model of a new task (Figure 8, claim C9)."""

from taskrsa.analysis.outcomes import figure8_rows
from taskrsa.analysis.tables import common_images
from taskrsa.entry import run
from taskrsa.io.files import write_table
from taskrsa.rsa.inference import bootstrap_counts
from taskrsa.rsa.rdm import n_images_of
from taskrsa.rsa.rdm_file import stack_rdms


def main(
    bank: list[str], target: list[str], resamples: int, permutations: int, seed: int, table: str
) -> None:
    """`target` holds one file for each seed of the small model."""
    stacks = [stack_rdms(bank, "compressed"), stack_rdms(target, "compressed")]
    of_bank, of_target = common_images(stacks)
    n_images = n_images_of(of_bank.shape[1])
    counts = bootstrap_counts(n_images, resamples, seed)
    rows = figure8_rows(of_target, of_bank, stacks[0].models, n_images, counts, permutations, seed)
    write_table(rows, table)


if __name__ == "__main__":
    run(main)
