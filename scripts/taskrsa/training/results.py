"""Fine-tune a network and write all that came of it, so that a training that was killed goes on."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pandas as pd

from taskrsa.errors import DataError
from taskrsa.io.files import sha256_of
from taskrsa.networks.target import (
    TargetNetwork,
    encoder_bytes,
    target_bytes,
    target_header,
)
from taskrsa.recipes import FinetuneConfig
from taskrsa.targets.config import KINDS
from taskrsa.targets.sets import LabelledSet
from taskrsa.training.checkpoint import exclusive, key_of, write_whole
from taskrsa.training.finetuning import Progress, finetune, settings_of
from taskrsa.training.objectives import OBJECTIVES


def finetune_to_files(
    name: str,
    network: TargetNetwork,
    train_set: LabelledSet,
    val_set: LabelledSet,
    recipe: FinetuneConfig,
    seed: int,
    paths: dict[str, str],
) -> Progress | None:
    """Train a network and write weights, learning curve and scores.

    Goes on from the state beside the weights if it is of the same settings; a second process with
    the same weights waits for the first.

    Parameters
    ----------
    name : of the network in tables
    paths : of "weights", "curve", "scores" and, where the encoder alone is wanted, "encoder"

    Returns how the training went, None if another process has just finished it. Errors are those
    of `finetune`, `encoder_bytes` and `exclusive`.
    """
    if "encoder" in paths:
        encoder_bytes(network)  # refused before the training rather than after it
    settings = settings_of(network, train_set, val_set, recipe, seed)
    key, weights = key_of(settings), paths["weights"]
    others = {what: path for what, path in paths.items() if what != "weights"}
    with exclusive(Path(weights).with_suffix(".resume"), settings) as checkpoint:
        if checkpoint.waited and _is_written(weights, others, key):
            print(f"{weights}: the other process has finished it")
            checkpoint.finish()
            return None
        chance = OBJECTIVES[network.kind].chance(train_set, val_set)
        network, progress = finetune(network, train_set, val_set, recipe, seed, checkpoint)
        metric = KINDS[network.kind].metric
        row = {
            "model": name,
            "seed": seed,
            "tap": network.tap,
            "trained": network.trained,
            "metric": metric,
            "score": progress.curve[-1][2],
            "chance_score": chance,
            "n_val": progress.n_images,
        }
        if len(network.classes) > 1:  # nan where a class does not occur
            names = (f"{metric.removeprefix('m')}_{name}" for name in network.classes)
            row |= zip(names, progress.by_class, strict=True)
        curve = pd.DataFrame(progress.curve, columns=["step", "train_loss", f"val_{metric}"])
        files = {"curve": _csv(curve), "scores": _csv(pd.DataFrame([row]))}
        if "encoder" in paths:
            files["encoder"] = encoder_bytes(network)
        about = {what: hashlib.sha256(files[what]).hexdigest() for what in others}
        for what, path in others.items():
            write_whole(path, files[what])
        # Last, with the digests of the others: when the weights are there, all is.
        write_whole(weights, target_bytes(network, {"settings": key, **about}))
        checkpoint.finish()
    return progress


def _csv(rows: pd.DataFrame) -> bytes:
    return rows.to_csv(index=False, float_format="%.6g", lineterminator="\n").encode()


def _is_written(weights: str, others: dict[str, str], key: str) -> bool:
    """Return whether another process has just written all outputs with the same settings."""
    try:
        digests = {what: sha256_of(path) for what, path in others.items()}
        return target_header(weights)["about"] == {"settings": key, **digests}
    except (DataError, FileNotFoundError):
        return False
