"""Compare every layer of the networks with a row of the table that stands for a target."""

from taskrsa.analysis.layers import layer_table
from taskrsa.entry import run
from taskrsa.io.files import write_table
from taskrsa.rsa.stacks import common_images, having_layer, stack_rdms, stack_subjects


def main(
    networks: dict,
    bank: list[str],
    layers: list[str],
    target: str,
    target_layer: str,
    compare: str,
    resamples: int,
    seed: int,
    table: str,
    subjects: list[str] | None = None,
) -> None:
    """`networks` maps names to label and type; `subjects` are patterns of layers of `target`, one
    for each subject, by default none: then the target is its layer `target_layer`."""
    having = {layer: having_layer(bank, layer) for layer in layers}
    stacks = {layer: stack_rdms(paths, layer) for layer, paths in having.items() if paths}
    of_target = stack_subjects(target, subjects) if subjects else stack_rdms([target], target_layer)
    of_target, *of_layers = common_images(of_target, *stacks.values())
    counts = of_target.counts(resamples, seed)
    found = layer_table(
        of_target,
        dict(zip(stacks, of_layers, strict=True)),
        counts,
        styles={name: tuple(style) for name, style in networks.items()},
        compare=compare,
    )
    write_table(found, table)


if __name__ == "__main__":
    run(main)
