"""Train a network and write all that came of it, so that a training that was killed goes on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from taskrsa.errors import DataError
from taskrsa.io.files import sha256_of
from taskrsa.targets.devkit import SegmentationSet
from taskrsa.training.checkpoint import exclusive, write_whole
from taskrsa.training.finetuning import Goal, Progress, Recipe, fine_tune


def tune(
    network,
    train_set: SegmentationSet,
    val_set: SegmentationSet,
    recipe: Recipe,
    seed: int,
    *,
    settings: dict,
    row: dict,
    metric: str,
    paths: dict[str, str],
    contents: Callable[[object, dict], bytes],
    header: Callable[[str], dict],
    encoder: Callable[[object], bytes] | None = None,
    goal: Goal | None = None,
    workers: int = 0,
    cache_mb: float = 512,
) -> Progress | None:
    """Train a network and write weights, learning curve and scores.

    Goes on from the state beside the weights if it is of the same `settings`; a second process
    with the same weights waits for the first.

    Parameters
    ----------
    settings : all that decides the result, as of `settings_of`
    row : what the row of scores begins with
    metric : "miou" and the like: names the column of the score, and of the curve val_<metric>
    paths : of "weights", "curve", "scores" and, where asked for, "encoder"
    contents : the weights file of a trained network and what is said about it
    header : the header of such a file, with the entry "about"
    encoder : the file of the encoder alone

    Returns
    -------
    How the training went, None if another process has just finished it.

    Raises
    ------
    DataError, ConfigError
        As `fine_tune` and `exclusive`.
    """
    weights = paths["weights"]
    others = {name: path for name, path in paths.items() if name != "weights"}
    with exclusive(Path(weights).with_suffix(".resume"), settings) as checkpoint:
        if checkpoint.waited and _is_written(paths, checkpoint.key, header):
            print(f"{weights}: the other process has finished it")
            checkpoint.finish()
            return None
        network, progress = fine_tune(
            network, train_set, val_set, recipe, seed, checkpoint, workers, cache_mb, goal
        )
        files = _tables(row, metric, train_set.classes, progress)
        if encoder is not None:
            files["encoder"] = encoder(network)
        about = {name: hashlib.sha256(files[name]).hexdigest() for name in others}
        for name, path in others.items():
            write_whole(path, files[name])
        # Last, with the digests of the others: when the weights are there, all is.
        write_whole(weights, contents(network, {"settings": checkpoint.key, **about}))
        checkpoint.finish()
    return progress


def _csv(rows: list[dict]) -> bytes:
    return pd.DataFrame(rows).to_csv(index=False, float_format="%.6g", lineterminator="\n").encode()


def _tables(row: dict, metric: str, classes: tuple[str, ...], progress: Progress) -> dict:
    """Return the curve and the row of scores as CSV, classes that do not occur left empty."""
    columns = ("step", "train_loss", f"val_{metric}")
    prefix = metric.removeprefix("m")
    by_class = dict(zip((f"{prefix}_{name}" for name in classes), progress.by_class, strict=True))
    by_class = by_class if len(classes) > 1 else {}
    row = {**row, metric: progress.curve[-1][2], "n_val": progress.n_images, **by_class}
    return {
        "curve": _csv([dict(zip(columns, values, strict=True)) for values in progress.curve]),
        "scores": _csv([row]),
    }


def _is_written(paths: dict[str, str], key: str, header: Callable[[str], dict]) -> bool:
    """Say whether another process has just written all outputs with the same settings."""
    if not all(Path(path).is_file() for path in paths.values()):
        return False
    try:
        about = header(paths["weights"])["about"]
    except DataError:
        return False
    others = {name: sha256_of(path) for name, path in paths.items() if name != "weights"}
    return about == {"settings": key, **others}
