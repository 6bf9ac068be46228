"""`python -m taskrsa layers TABLE ROW` lists the places of a network that RDMs can be made of."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from taskrsa.errors import ConfigError, TaskrsaError
from taskrsa.networks.table import read_bank


def layers(table: str, row: str, weights: str | None, size: int, schema: str | None) -> None:
    """Print name, kind and shape of every place of a network, and which the row chooses.

    Raises
    ------
    ConfigError, DataError
        If the table or the row cannot be used, or the network cannot be loaded.
    """
    rules = None
    if schema is not None:
        import yaml

        rules = yaml.safe_load(Path(schema).read_text(encoding="utf-8"))
    networks = read_bank(table, rules)
    if row not in networks:
        raise ConfigError(f"{table}: has no row {row}; there are {', '.join(networks)}")

    from taskrsa.networks.foreign import network_of, places_of
    from taskrsa.networks.layers import choose

    network = networks[row]
    places = places_of(network_of(network, weights), network, size)
    try:
        chosen, error = choose(places, network), None
    except ConfigError as fault:  # the list is what helps then
        chosen, error = {}, fault
    names = {place.name: layer for layer, place in chosen.items()}
    lines = [("name", "kind", "shape", "layer")]
    for place in places:
        shape = " x ".join(map(str, place.shape)) if not place.fault else f"- {place.fault}"
        lines.append((place.name, place.kind, shape, names.get(place.name, "")))
    widths = [max(len(line[column]) for line in lines) for column in range(3)]
    for line in lines:
        cells = [cell.ljust(width) for cell, width in zip(line[:3], widths, strict=True)]
        print("  ".join([*cells, line[3]]).rstrip())
    if error is not None:
        raise error


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m taskrsa")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    listing = commands.add_parser("layers", help="list the layers of a network of a bank")
    listing.add_argument("table", help="table of networks (.tsv)")
    listing.add_argument("row", help="name of the network in it")
    listing.add_argument("--weights", help="the file, where the table gives an address")
    listing.add_argument(
        "--size", type=int, default=256, help="side of the stimuli in pixels (default 256)"
    )
    listing.add_argument("--schema", help="JSON schema of a row, checked first (.yaml)")
    try:
        layers(**vars(parser.parse_args()))
    except TaskrsaError as error:
        sys.exit(f"error: {' '.join(str(error).split())}")


if __name__ == "__main__":
    main()
