"""Take RDMs that were made elsewhere: check them and put them in the order of the stimuli.

Reads the pack of stimuli, of which only the names count, and a file for each row of loader rdms.
Writes a file of RDMs for each, like those of networks that are shown images.
"""

from taskrsa.data.pack import Pack
from taskrsa.entry import run
from taskrsa.networks.given import given_layers
from taskrsa.networks.network import Network
from taskrsa.rsa.rdm_file import Origin, write_given


def main(
    rows: list[dict],
    weights: list[str],
    centre: bool,
    constant_images: str,
    stimuli: str,
    rdms: list[str],
) -> None:
    """`rows` are networks as JSON, each with its file in `weights` and in `rdms`; `centre` says how
    those that they are compared with are made."""
    with Pack(stimuli) as pack:
        for values, path, output in zip(rows, weights, rdms, strict=True):
            row = Network.from_json(values)
            origin = Origin(
                row.name, row.task or row.type or row.name, pack.ids, pack.digest, centre
            )
            write_given(output, given_layers(row, path, pack.ids), origin, constant_images)


if __name__ == "__main__":
    run(main)
