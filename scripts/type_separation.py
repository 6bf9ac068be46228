"""Test, layer by layer, whether networks of one type are more alike than those of different types.

Reads the RDMs of the networks and, where there are any, of pixels, of random-weight networks and of
labels. Writes one row for every layer and set of controls: none; the pixel RDM, the mean
random-weight RDM, or both partialled out.
"""

from taskrsa.analysis.separation import separable, separation_rows
from taskrsa.entry import run
from taskrsa.errors import ConfigError
from taskrsa.io.files import write_table
from taskrsa.rsa.stacks import RDMStack, having_layer, stack_rdms


def main(
    layers: list[str],
    types: dict,
    clusters: int,
    permutations: int,
    seed: int,
    bank: list[str],
    table: str,
    pixels: str | None = None,
    random: list[str] | None = None,
    labels: list[str] | None = None,
) -> None:
    """`types` gives the type of every network and label; those of no type ("") are left out."""
    pixel_rdm = stack_rdms([pixels], "pixels") if pixels else None
    rows = []
    for layer in [*layers, *(["labels"] if labels else [])]:
        of_labels = layer == "labels"
        stacked = _typed(labels if of_labels else bank, layer, types)
        if stacked is None:
            continue
        controls = [] if of_labels else having_layer(random or [], layer)
        rows += separation_rows(
            layer,
            stacked,
            types,
            clusters,
            permutations,
            seed,
            random=stack_rdms(controls, layer) if controls else None,
            pixels=pixel_rdm,
        )
    if not rows:
        raise ConfigError(
            "type separation needs networks of at least two types, at least two of them of one "
            "type; fill in the column type of the table of networks"
        )
    write_table(rows, table)


def _typed(paths: list[str], layer: str, types: dict) -> RDMStack | None:
    """Return the networks that have the layer and a type; None where types cannot be compared."""
    paths = having_layer(paths, layer)
    stacked = stack_rdms(paths, layer) if paths else None
    named = [model for model in stacked.models if types.get(model)] if paths else []
    if separable([types[model] for model in named]):
        return stacked.only(named)
    print(f"layer {layer}: left out: no two types of networks to compare", flush=True)
    return None


if __name__ == "__main__":
    run(main)
