"""Train a segmentation network: an encoder of the bank, or an untrained one, and an ASPP head.

Reads a folder in the layout of Pascal VOC's devkit and, for an encoder of the bank, its weights.
Writes the network, its learning curve and one row of scores on the validation list; where asked,
the encoder alone, for RDMs. A training that was killed goes on from the state beside the weights.
"""

from dataclasses import replace

import torch
from taskrsa.entry import run
from taskrsa.errors import ConfigError
from taskrsa.networks.segmentation import (
    HeadSpec,
    encoder_bytes,
    segmentation_bytes,
    segmentation_header,
    segmentation_network,
)
from taskrsa.networks.spec import encoder_spec
from taskrsa.networks.weights import load_encoder, random_encoder
from taskrsa.targets.devkit import SegmentationSet, open_splits
from taskrsa.training.finetuning import Recipe, settings_of
from taskrsa.training.tuning import tune


def _first(images: SegmentationSet, n: int | None) -> SegmentationSet:
    return replace(images, ids=images.ids[:n], images=images.images[:n], masks=images.masks[:n])


def main(
    model: str,
    data: str,
    tap: str,
    head: dict,
    recipe: dict,
    seed: int,
    output_weights: str,
    curve: str,
    scores: str,
    weights: str | None = None,
    encoder: dict | None = None,
    train_list: str = "train",
    val_list: str = "val",
    n_train: int | None = None,
    output_encoder: str | None = None,
    workers: int = 0,
    cache_mb: float = 512,
    threads: int = 1,
) -> None:
    """`weights` are the bank's; without them an encoder of the spec `encoder` starts at random.
    `tap` is block4 or compressed; `n_train` limits the training images to the first so many;
    `cache_mb` megabytes of decoded images are kept in memory."""
    torch.set_num_threads(threads)
    if (weights is None) == (encoder is None):
        raise ConfigError("finetune: give either weights or the spec of an encoder, and not both")
    plan = Recipe.from_config(recipe)
    sets = open_splits(data, train_list, val_list)
    train_set, val_set = _first(sets["train"], n_train), sets["val"]
    start = load_encoder(weights) if weights else random_encoder(encoder_spec(encoder), seed)
    network = segmentation_network(start, tap, train_set.classes, HeadSpec.from_config(head), seed)
    paths = {"weights": output_weights, "curve": curve, "scores": scores}
    if output_encoder is not None:
        # Refused before the training rather than after it.
        encoder_bytes(network)
        paths["encoder"] = output_encoder
    progress = tune(
        network,
        train_set,
        val_set,
        plan,
        seed,
        settings=settings_of(network, train_set, val_set, plan, seed),
        row={"model": model, "seed": seed},
        metric="miou",
        paths=paths,
        contents=segmentation_bytes,
        header=segmentation_header,
        encoder=encoder_bytes if output_encoder is not None else None,
        workers=workers,
        cache_mb=cache_mb,
    )
    if progress is not None:
        print(f"{model}, seed {seed}: mIoU {progress.curve[-1][2]:.4f}")


if __name__ == "__main__":
    run(main)
