"""Rank the bank for a target: by the target's small models, or by one network of the bank.

Beside the similarity of each network stand those of untrained ones of its design: controls
(random), or networks of the bank.
"""

from functools import partial

from taskrsa.analysis.advice import beside_run_stimuli, rank_by_images, rank_networks
from taskrsa.analysis.tables import with_groups
from taskrsa.analysis.untrained import Untrained
from taskrsa.entry import run
from taskrsa.io.files import write_table
from taskrsa.paper.published import FIGURE8
from taskrsa.rsa.stacks import common_images, load_stacks, stack_rdms


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
    random: list[str] | None = None,
    untrained: dict | None = None,
    bank_beside: list[str] | None = None,
    target_beside: list[str] | None = None,
) -> None:
    """`networks` maps names to label and type; `target` holds one file for each seed of the small
    model, or that of one network; `published` says that the target is the paper's; `untrained`
    names for each network the untrained ones of its design. Where these are over images of the
    target, `bank_beside` and `target_beside` may be the same over the run's stimuli."""
    ranked = partial(
        rank_networks,
        permutations=permutations,
        seed=seed,
        styles={name: tuple(style) for name, style in networks.items()},
        published=FIGURE8 if published else (),
    )
    read = [stack_rdms(bank, layer), stack_rdms(target, target_layer)]
    read += [stack_rdms(random, layer)] if random else []
    of_bank, of_target, *controls = common_images(*read)
    null = Untrained(next(iter(controls), None), untrained or {})
    ranking = ranked(of_target, of_bank, of_bank.counts(resamples, seed), untrained=null)
    if bank_beside and target_beside:
        other_bank, other = load_stacks(bank_beside, target_beside, layer, target_layer)
        on_run_stimuli = ranked(other, other_bank, other_bank.counts(resamples, seed))
        ranking = beside_run_stimuli(ranking, on_run_stimuli)
    # A target may have fewer images than the fewest asked for.
    sizes = [size for size in sizes if size <= of_bank.n_images] or [of_bank.n_images]
    fewer = rank_by_images(of_target, of_bank, sizes, resamples, seed)
    write_table(with_groups(fewer, of_bank.n_groups), by_images)
    write_table(with_groups(ranking, of_bank.n_groups), table)


if __name__ == "__main__":
    run(main)
