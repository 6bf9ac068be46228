"""`python -m taskrsa`: commands beside the workflow.

new FOLDER --networks ... --target PATH   writes a run that ranks networks for a target
layers TABLE ROW                          lists the layers that RDMs of a network can be made of
schema                                    prints the JSON schema of a configuration
"""

from __future__ import annotations

import argparse
import sys

from taskrsa.errors import ConfigError, TaskrsaError
from taskrsa.networks.layers import Layer, choose
from taskrsa.networks.loading import layers_of, load_network
from taskrsa.networks.network import RDMS, weights_file
from taskrsa.networks.table import read_bank
from taskrsa.new.command import new
from taskrsa.new.networks import WORDS
from taskrsa.plan.config import schema
from taskrsa.rsa.given_rdms import read_given
from taskrsa.targets.config import KINDS
from taskrsa.text import one_line


def layers(table: str, row: str, weights: str | None, size: int) -> None:
    """Print name, kind and shape of every layer of a network, and which the row chooses."""
    networks = read_bank(table)
    if row not in networks:
        raise ConfigError(f"{table}: has no row {row}; there are {', '.join(networks)}")
    network = networks[row]
    if network.loader == RDMS:
        names = read_given(weights_file(network, weights)).names
        found = [Layer(name, "RDM", trunk=True) for name in names]
    else:
        found = layers_of(load_network(network, weights), size)
    try:
        chosen, error = choose(found, network), None
    except ConfigError as fault:  # the list is what helps then
        chosen, error = {}, fault
    names = {layer.name: name for name, layer in chosen.items()}
    lines = [("name", "kind", "shape", "layer")]
    for layer in found:
        shape = " x ".join(map(str, layer.shape)) if not layer.fault else f"- {layer.fault}"
        lines.append((layer.name, layer.kind, shape, names.get(layer.name, "")))
    widths = [max(len(line[column]) for line in lines) for column in range(3)]
    for line in lines:
        cells = [cell.ljust(width) for cell, width in zip(line[:3], widths, strict=True)]
        print("  ".join([*cells, line[3]]).rstrip())
    if error is not None:
        raise error


def main() -> None:
    words = vars(_parser().parse_args())
    call = words.pop("call")
    try:
        call(**words)
    except TaskrsaError as error:
        sys.exit(f"error: {one_line(error)}")
    except OSError as error:  # a folder that cannot be written, a full disk
        sys.exit(f"error: {error.filename or 'output'}: {error.strerror or error}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m taskrsa")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_new(commands)
    listing = commands.add_parser("layers", help="list the layers of a network of a bank")
    listing.add_argument("table", help="table of networks (.tsv)")
    listing.add_argument("row", help="name of the network in it")
    listing.add_argument("--weights", help="the file, where the table gives an address")
    listing.add_argument(
        "--size", type=int, default=256, help="side of the stimuli in pixels (default 256)"
    )
    listing.set_defaults(call=layers)
    printing = commands.add_parser("schema", help="print the JSON schema of a configuration")
    printing.set_defaults(call=lambda: print(schema(), end=""))
    return parser


def _add_new(commands: argparse._SubParsersAction) -> None:
    starting = commands.add_parser(
        "new",
        help="write a table of networks and a configuration for a target",
        description="Writes networks.tsv and config.yaml, ready for Snakemake, and prints what was "
        "understood of the target and the networks, and what is to be checked.",
    )
    starting.add_argument("folder", help="folder for the files")
    starting.add_argument(
        "--networks", nargs="+", required=True, metavar="NETWORK", help=f"any number of {WORDS}"
    )
    starting.add_argument(
        "--target", required=True, metavar="PATH", help="labelled folder, devkit or CSV file"
    )
    starting.add_argument("--kind", choices=KINDS, help="of the target, where it is ambiguous")
    starting.add_argument(
        "--stimuli",
        metavar="PATH",
        help="folder, list or glob of images to show to the networks; by default the target's own",
    )
    starting.set_defaults(call=new)


if __name__ == "__main__":
    main()
