"""Make the RDMs of networks of any loader: show each the stimuli, keep the features in memory.

Reads the pack of stimuli and the networks' weights. Writes for each network one file with the RDM
of every layer and, where asked, one with the RDMs of one layer under other choices of method
(`variants`) and one with its matrices under every measure of similarity. Layers that do not fit
into `features_mb` go to a temporary file.
"""

from functools import partial

import torch
from taskrsa.data.pack import Pack
from taskrsa.entry import run
from taskrsa.errors import ConfigError
from taskrsa.networks.loading import tap_network
from taskrsa.networks.network import Network
from taskrsa.networks.representations import Representations
from taskrsa.rsa.gram_cache import code_digest
from taskrsa.rsa.measures import MEASURES, make_measures
from taskrsa.rsa.rdm_file import make_rdms


def main(
    rows: list[dict],
    choices: dict,
    constant_images: str,
    batch_size: int,
    stimuli: str,
    rdms: list[str],
    weights: list[str],
    layer: str = "compressed",
    variants: dict | None = None,
    variant_rdms: list[str] | None = None,
    measures: list[str] | None = None,
    precision: str = "no",
    features_mb: float | None = None,
    grams: str | None = None,
    code: list[str] | None = None,
    threads: int = 1,
) -> None:
    """`rows` are networks as JSON, each with its file in `rdms` and in `weights`, "-" where its
    loader brings its own. `choices` and each of `variants` hold centre, clip and group_norm;
    `variants` and `measures` are of `layer`. `grams` is the folder of what is kept of features
    between runs, of use as long as the files of `code` are the same."""
    torch.set_num_threads(threads)
    networks = [Network.from_json(row) for row in rows]
    pack = Pack(stimuli)
    # Several networks read the images once; one need not hold them.
    images = pack.photographs if len(networks) == 1 else pack.rgb()
    outputs = [rdms, variant_rdms or [None] * len(rows), measures or [None] * len(rows)]
    for row, path, *files in zip(networks, weights, *outputs, strict=True):
        network, layers = tap_network(row, images.shape[1], None if path == "-" else path)
        for name, found in layers.items():
            print(f"{row.name}, {name}: {found.name}, {' x '.join(map(str, found.shape))}")
        if layer not in layers and any(files[1:]):
            raise ConfigError(f"{row.where('layers')}: has no {layer}; name one of them so")
        made = Representations(
            network,
            layers,
            images,
            kept=[layer] * any(files[1:]),
            batch_size=batch_size,
            precision=precision,
            features_mb=features_mb,
            grams=grams,
            code=code_digest(code or []),
        )
        del network
        write = partial(
            make_rdms,
            model=row.name,
            task=row.task or row.type or row.name,
            conditions=pack.ids,
            stimuli_digest=pack.digest,
            centre=choices["centre"],
            constant=constant_images,
        )
        taps = made.all_layers(choices)
        write(files[0], {name: (taps[name], choices["centre"]) for name in layers})
        taps.clear()  # the other layers, gigabytes of them, are not needed any more
        if files[1]:
            others = {key: (made.layer(layer, v), v["centre"]) for key, v in variants.items()}
            write(files[1], others)
        if files[2]:
            features = made.layer(layer, choices)
            make_measures(files[2], features, list(MEASURES), layer=layer, **write.keywords)


if __name__ == "__main__":
    run(main)
