"""Make the RDMs of networks of any loader: show each the stimuli, keep the features in memory.

Reads the pack of stimuli and the networks' weights. Writes for each network one file with the RDM
of every layer and, where asked, one with the RDMs of one layer under other choices of method
(`variants`) and one with its matrices under every measure of similarity. Layers that do not fit
into `features_mb` go to a temporary file. RDMs that a row brings itself are checked and put in the
order of the stimuli; there is nothing to vary about them.
"""

from importlib import import_module

import torch
from taskrsa.data.pack import Pack
from taskrsa.entry import run
from taskrsa.errors import ConfigError
from taskrsa.networks.given import given_layers
from taskrsa.networks.loading import tap_network
from taskrsa.networks.network import RDMS, Network
from taskrsa.networks.representations import Representations
from taskrsa.rsa.rdm_file import Origin, make_rdms, write_given


def main(
    rows: list[dict],
    choices: dict,
    constant_images: str,
    batch_size: int,
    stimuli: str,
    rdms: list[str],
    weights: list[str],
    layer: str | None = None,
    variants: dict | None = None,
    variant_rdms: list[str] | None = None,
    measures: list[str] | None = None,
    precision: str = "no",
    features_mb: float | None = None,
    grams: str | None = None,
    code: str = "",
    threads: int = 1,
) -> None:
    """`rows` are networks as JSON, each with its file in `rdms` and in `weights`, "-" where its
    loader brings its own. `choices` and each of `variants` hold centre, clip and group_norm;
    `variants` and `measures` are of `layer`, by default the last that a row names. `grams` is the
    folder of what is kept of features between runs, of use as long as `code`, a digest, is the
    same."""
    torch.set_num_threads(threads)
    pack = Pack(stimuli)
    # Several networks read the images once; one need not hold them.
    images = pack.photographs if len(rows) == 1 else pack.rgb()
    options = {
        "batch_size": batch_size,
        "precision": precision,
        "features_mb": features_mb,
        "grams": (grams, code) if grams else None,
    }
    none = [None] * len(rows)
    outputs = zip(rdms, variant_rdms or none, measures or none, strict=True)
    for values, path, files in zip(rows, weights, outputs, strict=True):
        row = Network.from_json(values)
        task = row.task or row.type or row.name
        origin = Origin(
            row.name, task, pack.ids, pack.digest, choices["centre"], groups=pack.groups
        )
        path = None if path == "-" else path
        if row.loader == RDMS:
            if any(files[1:]):
                raise ConfigError(f"{row.where('loader')}: RDMs have no variants and no measures")
            write_given(files[0], given_layers(row, path, pack.ids), origin, constant_images)
            continue
        made, compared = _representations(row, path, images, layer, any(files[1:]), options)
        _write(made, compared, choices, variants or {}, files, (origin, constant_images))


def _representations(
    row: Network, path: str | None, images: object, layer: str | None, varied: bool, options: dict
) -> tuple[Representations, str]:
    """Return a network's features, and the layer that variants and measures are of."""
    network, layers = tap_network(row, images.shape[1], path)
    for name, found in layers.items():
        print(f"{row.name}, {name}: {found.name}, {' x '.join(map(str, found.shape))}")
    compared = layer or list(layers)[-1]
    if varied and compared not in layers:
        raise ConfigError(f"{row.where('layers')}: none is named {compared}; rename one")
    return Representations(network, images, [compared] * varied, **options), compared


def _write(
    made: Representations, layer: str, choices: dict, variants: dict, files: tuple, about: tuple
) -> None:
    rdms, variant_rdms, measures = files
    taps = made.all_layers(choices)
    make_rdms(rdms, {name: (taps[name], choices["centre"]) for name in taps}, *about)
    taps.clear()  # the other layers, gigabytes of them, are not needed any more
    if variant_rdms:
        features = {key: (made.layer(layer, v), v["centre"]) for key, v in variants.items()}
        make_rdms(variant_rdms, features, *about)
    if measures:
        # By name: they are code of the rule that asks for them, not of controls and small models.
        compared = import_module("taskrsa.rsa.measures")
        features = made.layer(layer, choices)
        compared.make_measures(measures, features, *about, layer)


if __name__ == "__main__":
    run(main)
