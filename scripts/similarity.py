"""Compare the RDMs of all networks at one layer.

Reads one RDM file a network; those without the layer are left out. Writes a row for each pair:
similarity, its bootstrap interval over images, p of a randomisation of condition labels, and the
similarities of untrained networks of the same designs: controls (random), or of the bank.
"""

from taskrsa.analysis.tables import with_groups
from taskrsa.analysis.taxonomy import similarity_table
from taskrsa.analysis.untrained import Untrained
from taskrsa.entry import run
from taskrsa.io.files import write_table
from taskrsa.rsa.stacks import common_images, having_layer, stack_rdms


def main(
    layer: str,
    rdms: list[str],
    compare: str,
    resamples: int,
    permutations: int,
    seed: int,
    table: str,
    random: list[str] | None = None,
    untrained: dict | None = None,
) -> None:
    """`untrained` names for each network the untrained ones of its design."""
    read = [stack_rdms(having_layer(rdms, layer), layer)]
    read += [stack_rdms(random, layer)] if random else []
    stacked, *controls = common_images(*read)
    there = {*stacked.models, *(name for stack in controls for name in stack.models)}
    of = {name: [one for one in same if one in there] for name, same in (untrained or {}).items()}
    null = Untrained(next(iter(controls), None), of)
    found = similarity_table(
        stacked, layer, resamples, permutations, seed, untrained=null, compare=compare
    )
    write_table(with_groups(found, stacked.n_groups), table)


if __name__ == "__main__":
    run(main)
