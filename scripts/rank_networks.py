"""Rank the bank for a target: by the target's small models, or by one network of the bank."""

from functools import partial

from taskrsa.analysis.advice import beside_run_stimuli, rank_by_images, rank_networks
from taskrsa.entry import run
from taskrsa.io.files import write_table
from taskrsa.paper.published import FIGURE8
from taskrsa.rsa.inference import bootstrap_counts
from taskrsa.rsa.stacks import load_stacks


def main(
    networks: dict,
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
    published: bool = False,
    bank_beside: list[str] | None = None,
    target_beside: list[str] | None = None,
) -> None:
    """`networks` maps names to label and type; `target` holds one file for each seed of the small
    model, or that of one network; `published` says that the target is the paper's. Where these are
    over images of the target, `bank_beside` and `target_beside` may be the same over the run's
    stimuli."""
    ranked = partial(
        rank_networks,
        permutations=permutations,
        seed=seed,
        styles={name: tuple(style) for name, style in networks.items()},
        published=FIGURE8 if published else (),
    )
    of_bank, of_target = load_stacks(bank, target, layer, target_layer)
    n = of_bank.n_images
    ranking = ranked(of_target, of_bank, bootstrap_counts(n, resamples, seed))
    if bank_beside and target_beside:
        other_bank, other = load_stacks(bank_beside, target_beside, layer, target_layer)
        counts = bootstrap_counts(other_bank.n_images, resamples, seed)
        ranking = beside_run_stimuli(ranking, ranked(other, other_bank, counts))
    # A target may have fewer images than the fewest asked for.
    sizes = [size for size in sizes if size <= n] or [n]
    write_table(rank_by_images(of_target, of_bank, sizes, resamples, seed), by_images)
    write_table(ranking, table)


if __name__ == "__main__":
    run(main)
