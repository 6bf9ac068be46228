"""Make the RDMs of one task's small models on the stimuli of the bank, at their compressed output.

Small models are loaded one after the other in one job: each takes less time than a job's start.
"""

from functools import partial

import torch
from taskrsa.data.pack import Pack
from taskrsa.entry import run
from taskrsa.networks.extraction import extract
from taskrsa.networks.preprocessing import network_input
from taskrsa.networks.weights import load_encoder, on_accelerator
from taskrsa.rsa.rdm_file import make_rdms


def main(
    task: str,
    kind: str,
    may_clip: bool,
    choices: dict,
    constant_images: str,
    batch_size: int,
    stimuli: str,
    models: list[str],
    weights: list[str],
    rdms: list[str],
    precision: str = "no",
    features_mb: float | None = None,
    threads: int = 1,
) -> None:
    """`models` names one network for each of `weights`, of which `rdms` holds the RDMs; `kind`,
    `may_clip` and `choices` are those of the bank's network of the task."""
    torch.set_num_threads(threads)
    with Pack(stimuli) as pack:
        images, conditions, digest = pack.rgb(), pack.ids, pack.digest
    to_input = partial(network_input, kind=kind, clip=choices["clip"] and may_clip)
    for model, path, file in zip(models, weights, rdms, strict=True):
        taps = extract(
            on_accelerator(load_encoder(path)),
            to_input,
            images,
            batch_size,
            model,
            precision=precision,
            features_mb=features_mb,
        )
        make_rdms(
            file,
            {layer: (values, choices["centre"]) for layer, values in taps.items()},
            model=model,
            task=task,
            conditions=conditions,
            stimuli_digest=digest,
            centre=choices["centre"],
            constant=constant_images,
        )


if __name__ == "__main__":
    run(main)
