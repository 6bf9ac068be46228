"""Train a segmentation network: an encoder of the bank, or an untrained one, and an ASPP head.

Reads a folder in the layout of Pascal VOC's devkit and, for an encoder of the bank, its weights.
Writes the network, its learning curve and one row of scores on the validation list; where asked,
the encoder alone, for RDMs. A training that was killed goes on from the state beside the weights.
"""

import hashlib
from dataclasses import replace
from pathlib import Path

import pandas as pd
import torch
from taskrsa.checkpoint import exclusive, write_whole
from taskrsa.data.segmentation import SegmentationSet, open_splits
from taskrsa.entry import run
from taskrsa.errors import ConfigError, DataError
from taskrsa.files import sha256_of
from taskrsa.models.segmentation import (
    HeadSpec,
    encoder_bytes,
    segmentation_bytes,
    segmentation_header,
    segmentation_network,
)
from taskrsa.models.spec import encoder_spec
from taskrsa.models.weights import load_encoder, random_encoder
from taskrsa.segmentation import Progress, Recipe, fine_tune, settings_of


def _first(images: SegmentationSet, n: int | None) -> SegmentationSet:
    return replace(images, ids=images.ids[:n], images=images.images[:n], masks=images.masks[:n])


def _csv(rows: list[dict]) -> bytes:
    return pd.DataFrame(rows).to_csv(index=False, float_format="%.6g", lineterminator="\n").encode()


def _tables(model: str, seed: int, classes: tuple[str, ...], progress: Progress) -> dict:
    """Return the curve and the row of scores as CSV, classes that do not occur left empty."""
    columns = ("step", "train_loss", "val_miou")
    row = {
        "model": model,
        "seed": seed,
        "miou": progress.curve[-1][2],
        "n_val": progress.n_images,
        **{f"iou_{name}": iou for name, iou in zip(classes, progress.iou, strict=True)},
    }
    return {
        "curve": _csv([dict(zip(columns, values, strict=True)) for values in progress.curve]),
        "scores": _csv([row]),
    }


def _is_written(paths: dict[str, str], key: str) -> bool:
    """Say whether another process has just written all outputs with the same settings."""
    if not all(Path(path).is_file() for path in paths.values()):
        return False
    try:
        about = segmentation_header(paths["weights"])["about"]
    except DataError:
        return False
    others = {name: sha256_of(path) for name, path in paths.items() if name != "weights"}
    return about == {"settings": key, **others}


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
    paths = {"curve": curve, "scores": scores}
    if output_encoder is not None:
        # Refused before the training rather than after it.
        encoder_bytes(network)
        paths["encoder"] = output_encoder
    settings = settings_of(network, train_set, val_set, plan, seed)

    with exclusive(Path(output_weights).with_suffix(".resume"), settings) as checkpoint:
        if checkpoint.waited and _is_written({**paths, "weights": output_weights}, checkpoint.key):
            print(f"{output_weights}: the other process has finished it")
            checkpoint.finish()
            return
        network, progress = fine_tune(
            network, train_set, val_set, plan, seed, checkpoint, workers, cache_mb
        )
        files = _tables(model, seed, train_set.classes, progress)
        if output_encoder is not None:
            files["encoder"] = encoder_bytes(network)
        about = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
        for name, content in files.items():
            write_whole(paths[name], content)
        # Last, with the digests of the others: when the weights are there, all is.
        write_whole(
            output_weights,
            segmentation_bytes(network, {"settings": checkpoint.key, **about}),
        )
        checkpoint.finish()
    print(f"{model}, seed {seed}: mIoU {progress.curve[-1][2]:.4f}")


if __name__ == "__main__":
    run(main)
