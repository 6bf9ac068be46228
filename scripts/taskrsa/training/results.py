"""Fine-tune a network and write all that came of it, so that a training that was killed goes on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
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
from taskrsa.training.checkpoint import Checkpoint, exclusive, key_of, read_state, write_whole
from taskrsa.training.finetuning import Progress, finetune, settings_of, starts_at_probe
from taskrsa.training.objectives import OBJECTIVES, Scores


@dataclass(frozen=True)
class Leg:
    """A part of a training, which goes on from the part before.

    since, until : steps
    before : the state at the step `since`; None for the start
    reported : what scores are of, instead of the validation set: images that decided nothing
    """

    since: int
    until: int
    before: str | None = None
    reported: LabelledSet | None = None


def finetune_to_files(
    name: str,
    network: TargetNetwork,
    train_set: LabelledSet,
    val_set: LabelledSet,
    recipe: FinetuneConfig,
    seed: int,
    paths: dict[str, str],
    leg: Leg | None = None,
) -> Progress | None:
    """Train a network and write weights, learning curve and scores.

    Goes on from the state beside the weights if it is of the same settings; a second process with
    the same weights waits for the first.

    Parameters
    ----------
    name : of the network in tables
    paths : of "weights" or, of a leg that another continues, "state"; of "curve", "scores" and,
        where the encoder alone is wanted, "encoder"
    leg : which part of the training it is; None for all of it

    Returns how the training went, None if another process has just finished it. Errors are those
    of `finetune`, `encoder_bytes` and `exclusive`.
    """
    if "encoder" in paths:
        encoder_bytes(network)  # refused before the training rather than after it
    settings, before, reported = settings_of(network, train_set, val_set, recipe, seed), None, None
    if leg is not None:
        before = leg.before and (leg.before, settings | {"until": leg.since})
        settings, reported = settings | {"until": leg.until}, leg.reported
    key = key_of(settings | ({"reported images": reported.digest} if reported else {}))
    main = paths["weights"] if "weights" in paths else paths["state"]
    with exclusive(Path(main).with_suffix(".resume"), settings, before) as checkpoint:
        if checkpoint.waited and _is_written(paths, settings, key):
            print(f"{main}: the other process has finished it")
            checkpoint.finish()
            return None
        objective, until = OBJECTIVES[network.kind], leg and leg.until
        chance = objective.chance(train_set, reported or val_set)
        network, progress = finetune(network, train_set, val_set, recipe, seed, checkpoint, until)
        scores = Scores(progress.curve[-1][2], tuple(progress.by_class), progress.n_images)
        if reported:
            scores = objective.evaluate(network, reported)
        # Of a race the start is scored on other images than the end.
        start = progress.curve[0][2] if starts_at_probe(network) and not reported else None
        row = {"model": name, "seed": seed} | _row(network, scores, chance, start)
        _write(network, row, progress, key, paths, checkpoint)
        checkpoint.finish()
    return progress


def _row(
    network: TargetNetwork, scores: Scores, chance: float, start: float | None
) -> dict[str, object]:
    """Return what a row of scores says; `start` is the score of the head as a probe, if it was."""
    metric = KINDS[network.kind].metric
    row = {
        "tap": network.tap,
        "trained": network.trained,
        "metric": metric,
        "score": scores.value,
        "chance_score": chance,
        "n_val": scores.n_images,
    }
    if start is not None:
        row["start_score"] = start
    if len(network.classes) > 1:  # nan where a class does not occur
        names = (f"{metric.removeprefix('m')}_{name}" for name in network.classes)
        row |= zip(names, scores.by_class, strict=True)
    return row


def _write(
    network: TargetNetwork,
    row: dict,
    progress: Progress,
    key: str,
    paths: dict[str, str],
    checkpoint: Checkpoint,
) -> None:
    """Write all files, weights or state last: when they are there, all is."""
    columns = ["step", "train_loss", f"val_{row['metric']}"]
    curve = pd.DataFrame(progress.curve, columns=columns)
    files = {"curve": _csv(curve), "scores": _csv(pd.DataFrame([row]))}
    if "encoder" in paths:
        files["encoder"] = encoder_bytes(network)
    about = {what: hashlib.sha256(content).hexdigest() for what, content in files.items()}
    for what, content in files.items():
        write_whole(paths[what], content)
    if "weights" in paths:
        # With the digests of the others.
        write_whole(paths["weights"], target_bytes(network, {"settings": key, **about}))
    else:
        checkpoint.hand_on(paths["state"])


def _csv(rows: pd.DataFrame) -> bytes:
    return rows.to_csv(index=False, float_format="%.6g", lineterminator="\n").encode()


def _is_written(paths: dict[str, str], settings: dict, key: str) -> bool:
    """Return whether another process has just written all outputs with the same settings."""
    if "weights" not in paths:
        return read_state(paths["state"], settings) is not None
    others = {what: path for what, path in paths.items() if what != "weights"}
    try:
        digests = {what: sha256_of(path) for what, path in others.items()}
        return target_header(paths["weights"])["about"] == {"settings": key, **digests}
    except (DataError, FileNotFoundError):
        return False
