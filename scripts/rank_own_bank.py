"""Rank the user's own bank for a target: by its small models, or by one network of the bank."""

from taskrsa.analysis.advice import advice_by_images, advice_rows
from taskrsa.entry import run
from taskrsa.io.files import write_table
from taskrsa.networks.table import read_bank, styles
from taskrsa.rsa.inference import bootstrap_counts
from taskrsa.rsa.stacks import load_stacks


def main(
    networks: str,
    bank: list[str],
    layer: str,
    target: list[str],
    target_layer: str,
    sizes: list[int],
    resamples: int,
    permutations: int,
    seed: int,
    table: str,
    by_images: str,
) -> None:
    """`networks` is the table of the bank; `target` holds one file for each seed of the small
    model, or that of one network."""
    of_bank, of_target = load_stacks(bank, target, layer, target_layer)
    names = of_bank.models
    n_images = of_bank.n_images
    counts = bootstrap_counts(n_images, resamples, seed)
    models = styles(read_bank(networks))
    rows = advice_rows(
        of_target.rdms, of_bank.rdms, names, n_images, counts, permutations, seed, models=models
    )
    fewer = advice_by_images(of_target.rdms, of_bank.rdms, names, n_images, sizes, resamples, seed)
    write_table(fewer, by_images)
    write_table(rows, table)


if __name__ == "__main__":
    run(main)
