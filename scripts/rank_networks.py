"""Rank the bank for a target: by the target's small models, or by one network of the bank.

Beside the similarity of each network stand those of untrained ones of its design: controls
(random), or networks of the bank.
"""

from taskrsa.analysis.advice import rank_by_images, rank_networks
from taskrsa.analysis.tables import with_groups
from taskrsa.analysis.untrained import Untrained
from taskrsa.entry import run
from taskrsa.io.files import write_table
from taskrsa.paper.published import FIGURE8
from taskrsa.rsa.stacks import common_images, stack_rdms


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
) -> None:
    """`networks` maps names to label and type; `target` holds one file for each seed of the small
    model, or that of one network; `published` says that the target is the paper's; `untrained`
    names for each network the untrained ones of its design."""
    read = [stack_rdms(bank, layer), stack_rdms(target, target_layer)]
    read += [stack_rdms(random, layer)] if random else []
    of_bank, of_target, *controls = common_images(*read)
    counts = of_bank.counts(resamples, seed)
    ranking = rank_networks(
        of_target,
        of_bank,
        counts,
        permutations,
        seed,
        styles={name: tuple(style) for name, style in networks.items()},
        published=FIGURE8 if published else (),
        untrained=Untrained(next(iter(controls), None), untrained or {}),
    )
    fewer = rank_by_images(of_target, of_bank, sizes, resamples, seed)
    write_table(with_groups(fewer, of_bank.n_groups), by_images)
    write_table(with_groups(ranking, of_bank.n_groups), table)


if __name__ == "__main__":
    run(main)
