"""Train a network on the user's own target: the small model, or a network of the user's bank.

Reads the labelled set and, for a network of the bank, its row and weights. Writes the network, its
learning curve, and one row of scores on the validation images; of the small model the encoder as
well, for RDMs. A training that was killed goes on from the state beside the weights.
"""

import torch
from taskrsa.entry import run
from taskrsa.networks.segmentation import HeadSpec, encoder_bytes
from taskrsa.networks.table import network as network_row
from taskrsa.networks.target import (
    HEAD_ONLY,
    WHOLE,
    row_network,
    small_network,
    target_bytes,
    target_header,
)
from taskrsa.targets.labelled import METRICS, open_labelled
from taskrsa.training.finetuning import Recipe
from taskrsa.training.goals import floor, goal_of, target_settings
from taskrsa.training.tuning import tune


def main(
    model: str,
    data: str,
    head: dict,
    recipe: dict,
    seed: int,
    output_weights: str,
    curve: str,
    scores: str,
    row: dict | None = None,
    weights: str | None = None,
    encoder: dict | None = None,
    n_train: int | None = None,
    output_encoder: str | None = None,
    threads: int = 1,
) -> None:
    """`row` holds the cells of a network of the bank as text; without it a small encoder of the
    spec `encoder` starts at random. `n_train` limits the training images to the first so many."""
    torch.set_num_threads(threads)
    sets = open_labelled(data)
    train, val = sets["train"].first(n_train), sets["val"]
    spec, plan = HeadSpec.from_config(head), Recipe.from_config(recipe)
    shape = (train.kind, train.classes, spec, plan.crop, seed)
    paths = {"weights": output_weights, "curve": curve, "scores": scores}
    if row is None:
        network, start = small_network(encoder, *shape), {"encoder": encoder}
        paths["encoder"] = output_encoder
    else:
        network, start = row_network(network_row(row), weights, *shape), {"row": row}
    progress = tune(
        network,
        train,
        val,
        plan,
        seed,
        settings=target_settings(network, train, val, plan, seed, start),
        row={
            "model": model,
            "seed": seed,
            "how": WHOLE if network.trains_encoder else HEAD_ONLY,
            "floor": floor(train, val),
        },
        metric=METRICS[train.kind],
        paths=paths,
        contents=target_bytes,
        header=target_header,
        encoder=encoder_bytes if row is None else None,
        goal=goal_of(train.kind),
    )
    if progress is not None:
        print(f"{model}, seed {seed}: {METRICS[train.kind]} {progress.curve[-1][2]:.4f}")


if __name__ == "__main__":
    run(main)
