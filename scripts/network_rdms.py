"""Make the RDMs of one network: load it, stream the stimuli, keep the features in memory.

Reads weights and the pack of stimuli. Writes one file with the RDM of every layer, one with the
RDMs of the compressed output under other choices of method (`variants`), and one with its matrices
under every measure of similarity.
"""

from functools import cache, partial

import torch
from taskrsa.data.pack import Pack
from taskrsa.entry import run
from taskrsa.extraction import extract
from taskrsa.models.weights import load_encoder
from taskrsa.preprocessing import network_input
from taskrsa.rsa.measures import MEASURES, make_measures
from taskrsa.rsa.rdm_file import make_rdms


def main(
    model: str,
    kind: str,
    may_clip: bool,
    choices: dict,
    constant_images: str,
    batch_size: int,
    stimuli: str,
    weights: str,
    rdms: str,
    variants: dict,
    variant_rdms: str,
    measures: str,
    threads: int = 1,
) -> None:
    """`kind` names the network's input; `may_clip` says whether the authors clip it; `choices` and
    each of `variants` hold centre, clip and group_norm."""
    torch.set_num_threads(threads)
    encoder = load_encoder(weights)
    with Pack(stimuli) as pack:
        images, conditions, digest = pack.rgb(), pack.ids, pack.digest

    @cache
    def features(clip: bool, group_norm: bool) -> dict:
        encoder.use_group_norm(group_norm)
        return extract(
            encoder,
            lambda rgb: network_input(rgb, kind, clip and may_clip),
            images,
            batch_size,
            model,
        )

    about = {
        "model": model,
        "task": model,
        "conditions": conditions,
        "stimuli_digest": digest,
        "centre": choices["centre"],
        "constant": constant_images,
    }
    write = partial(make_rdms, **about)
    taps = features(choices["clip"], choices["group_norm"])
    write(rdms, {layer: (values, choices["centre"]) for layer, values in taps.items()})
    write(
        variant_rdms,
        {
            name: (features(v["clip"], v["group_norm"])["compressed"], v["centre"])
            for name, v in variants.items()
        },
    )
    make_measures(measures, taps["compressed"], list(MEASURES), **about)


if __name__ == "__main__":
    run(main)
