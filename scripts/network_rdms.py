"""Make the RDMs of one network: load it, stream the stimuli, keep the features in memory.

Reads weights and the pack of stimuli. Writes one file with the RDM of every layer, one with the
RDMs of the compressed output under other choices of method (`variants`), and one with its matrices
under every measure of similarity. Layers that do not fit into `features_mb` go to a temporary file.
"""

from functools import cache, partial

import numpy as np
import torch
from taskrsa.data.pack import Pack
from taskrsa.entry import run
from taskrsa.io.files import sha256_of
from taskrsa.networks.extraction import extract, fused
from taskrsa.networks.preprocessing import network_input
from taskrsa.networks.weights import load_encoder, on_accelerator
from taskrsa.rsa.gram_cache import GramCache, code_digest, digests_of
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
    precision: str = "no",
    features_mb: float | None = None,
    grams: str | None = None,
    code: list[str] | None = None,
    threads: int = 1,
) -> None:
    """`kind` names the network's input; `may_clip` says whether the authors clip it; `choices` and
    each of `variants` hold centre, clip and group_norm; `grams` is the folder of what is kept of
    features between runs, of use as long as the files of `code` are the same."""
    torch.set_num_threads(threads)
    encoder = load_encoder(weights)
    channels = encoder.spec.code_channels
    encoder.use_group_norm(False)  # done afterwards: it is the compressed output's alone
    encoder = fused(on_accelerator(encoder))
    pack = Pack(stimuli)
    images, conditions, digest = pack.photographs, pack.ids, pack.digest

    if grams:
        known = digests_of(images)
        made_by = [sha256_of(weights), precision, torch.__version__, code_digest(code or [])]

    def features(clip: bool, layers: list[str] | None = None) -> dict:
        extracted = partial(
            *(extract, encoder, partial(network_input, kind=kind, clip=clip), images),
            *(batch_size, model),
            layers=layers,
            precision=precision,
            features_mb=features_mb,
        )
        if not grams:
            return extracted()
        kept = GramCache(grams, {"made by": made_by, "input": [kind, clip]})
        return kept.layers(known, layers, choices["centre"], extracted, whole=["compressed"])

    taps = features(choices["clip"] and may_clip)
    plain = np.asarray(taps["compressed"])

    @cache
    def compressed(clip: bool, group_norm: bool) -> np.ndarray:
        if group_norm:
            return group_normed(compressed(clip, False), channels)
        if clip == (choices["clip"] and may_clip):
            return plain
        return np.asarray(features(clip, ["compressed"])["compressed"])

    def chosen(way: dict) -> np.ndarray:
        return compressed(way["clip"] and may_clip, way["group_norm"])

    write = partial(
        make_rdms,
        model=model,
        task=model,
        conditions=conditions,
        stimuli_digest=digest,
        centre=choices["centre"],
        constant=constant_images,
    )
    taps["compressed"] = chosen(choices)
    write(rdms, {layer: (values, choices["centre"]) for layer, values in taps.items()})
    taps.clear()  # the other layers, gigabytes of them, are not needed any more
    write(variant_rdms, {name: (chosen(way), way["centre"]) for name, way in variants.items()})
    make_measures(measures, chosen(choices), list(MEASURES), **write.keywords)


def group_normed(features: np.ndarray, channels: int) -> np.ndarray:
    """Return (n, d) features, channels last, each channel of each image normalised by itself.

    As `torch.nn.GroupNorm` with one group a channel and no weights; the features come back channels
    first, which no RDM depends on.
    """
    values = torch.from_numpy(features).view(len(features), -1, channels).transpose(1, 2)
    return torch.nn.functional.group_norm(values, channels).flatten(1).numpy()


if __name__ == "__main__":
    run(main)
