"""Make the RDMs of one network of the user's own bank, one of each of its layers.

Reads the pack of stimuli and the network's weights. Writes one file of RDMs, as of the other
networks. The images are resized and normalised as the network's row says. Layers that do not fit
into `features_mb` go to a temporary file.
"""

import torch
from taskrsa.data.pack import Pack
from taskrsa.entry import run
from taskrsa.networks.extraction import extract
from taskrsa.networks.foreign import input_of, listening
from taskrsa.networks.table import network
from taskrsa.rsa.rdm_file import make_rdms


def main(
    row: dict,
    centre: bool,
    constant_images: str,
    batch_size: int,
    stimuli: str,
    rdms: str,
    weights: str | None = None,
    features_mb: float | None = None,
    threads: int = 1,
) -> None:
    """`row` holds the cells of the network's row as text; `weights` is the file where the row
    gives an address."""
    torch.set_num_threads(threads)
    net = network(row)
    with Pack(stimuli) as pack:
        images, conditions, digest = pack.rgb(), pack.ids, pack.digest
    encoder, layers = listening(net, images.shape[1], weights)
    for layer, place in layers.items():
        print(f"{net.name}, {layer}: {place.name}, {' x '.join(map(str, place.shape))}", flush=True)
    taps = extract(encoder, input_of(net), images, batch_size, net.name, features_mb=features_mb)
    make_rdms(
        rdms,
        {layer: (values, centre) for layer, values in taps.items()},
        model=net.name,
        task=net.type or net.name,
        conditions=conditions,
        stimuli_digest=digest,
        centre=centre,
        constant=constant_images,
    )


if __name__ == "__main__":
    run(main)
