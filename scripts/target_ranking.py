"""Rank the bank by similarity to the small model of a new task (Figure 8, claim C9)."""

from taskrsa.analysis.outcomes import figure8_rows
from taskrsa.entry import run
from taskrsa.io.files import write_table
from taskrsa.rsa.inference import bootstrap_counts
from taskrsa.rsa.stacks import load_stacks


def main(
    bank: list[str], target: list[str], resamples: int, permutations: int, seed: int, table: str
) -> None:
    """`target` holds one file for each seed of the small model."""
    of_bank, of_target = load_stacks(bank, target, "compressed")
    n_images = of_bank.n_images
    counts = bootstrap_counts(n_images, resamples, seed)
    rows = figure8_rows(
        of_target.rdms, of_bank.rdms, of_bank.models, n_images, counts, permutations, seed
    )
    write_table(rows, table)


if __name__ == "__main__":
    run(main)
