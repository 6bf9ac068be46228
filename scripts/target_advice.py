"""Advise which network to take for a target, by the mean rank of a few measures of transfer."""

from taskrsa.entry import run
from taskrsa.io.files import read_table, write_table
from taskrsa.transferability.advice import advise
from taskrsa.transferability.draws_file import read_draws


def main(
    networks: dict,
    scores: str,
    draws: list[str],
    measures: list[str],
    layer: str,
    table: str,
) -> None:
    """`networks` maps names to label, type and untrained ("yes" or "no"); `draws` holds a file for
    each of them."""
    found = {
        (model, measure): values
        for model, path in zip(networks, draws, strict=True)
        for (measure, of_layer), values in read_draws(path).items()
        if of_layer in ("", layer)
    }
    write_table(advise(read_table(scores), found, networks, measures, layer), table)


if __name__ == "__main__":
    run(main)
