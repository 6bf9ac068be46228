"""Measure on a few steps what it would take to fine-tune every network of the user's bank.

The numbers are timings of this machine and of one thread; they differ from run to run.
"""

from functools import partial

import torch
from taskrsa.entry import run
from taskrsa.io.files import write_table
from taskrsa.networks.segmentation import HeadSpec
from taskrsa.networks.table import read_bank
from taskrsa.networks.target import HEAD_ONLY, WHOLE, row_network
from taskrsa.targets.labelled import open_labelled
from taskrsa.training.finetuning import Recipe
from taskrsa.training.goals import seconds_of_training


def main(
    networks: str,
    weights: list[str],
    data: str,
    head: dict,
    recipe: dict,
    seeds: int,
    table: str,
    n_train: int | None = None,
    threads: int = 1,
) -> None:
    """`networks` is the table of the bank, `weights` a file for each network or "-"."""
    torch.set_num_threads(threads)
    sets = open_labelled(data)
    train, val = sets["train"].first(n_train), sets["val"]
    spec, plan = HeadSpec.from_config(head), Recipe.from_config(recipe)
    found = []
    for row, file in zip(read_bank(networks).values(), weights, strict=True):
        path = None if file == "-" else file
        make = partial(row_network, row, path, train.kind, train.classes, spec, plan.crop, 0)
        step, besides = seconds_of_training(make, train, val, plan, seed=0)
        found.append(
            {
                "model": row.name,
                "how": WHOLE if make().trains_encoder else HEAD_ONLY,
                "steps": plan.steps,
                "seeds": seeds,
                "seconds_per_step": step,
                "seconds": seeds * (plan.steps * step + besides),
            }
        )
    write_table(found, table)


if __name__ == "__main__":
    run(main)
