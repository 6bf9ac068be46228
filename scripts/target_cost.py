"""Measure on a few steps what it would take to fine-tune every network of the bank on a target.

The numbers are timings of this machine and of `threads` threads; they differ from run to run.
"""

from functools import partial

import torch
from taskrsa.entry import run
from taskrsa.io.files import write_table
from taskrsa.networks.loading import load_network
from taskrsa.networks.network import Network
from taskrsa.networks.target import HEAD_ONLY, WHOLE, TargetNetwork, target_network
from taskrsa.recipes import FinetuneConfig, HeadConfig
from taskrsa.targets.sets import LabelledSet, open_sets
from taskrsa.training.finetuning import seconds_of_training


def _network(
    row: Network, weights: str | None, tap: str, train: LabelledSet, head: HeadConfig, crop: int
) -> TargetNetwork:
    start = load_network(row, weights)
    return target_network(start, tap, train.kind, train.classes, head, crop, seed=0)


def main(
    rows: dict,
    weights: list[str],
    data: str,
    head: dict,
    recipe: dict,
    seeds: int,
    table: str,
    tap: str = "compressed",
    n_train: int | None = None,
    threads: int = 1,
) -> None:
    """`rows` maps names to the bank's rows; `weights` holds a file for each network or "-"."""
    torch.set_num_threads(threads)
    sets = open_sets(data)
    train, val = sets["train"].first(n_train), sets["val"]
    plan = FinetuneConfig(**recipe)
    costs = []
    for (name, row), file in zip(rows.items(), weights, strict=True):
        path = None if file == "-" else file
        network = Network.from_json(row)
        make = partial(_network, network, path, tap, train, HeadConfig(**head), plan.crop)
        step, besides = seconds_of_training(make, train, val, plan)
        costs.append(
            {
                "model": name,
                "trained": WHOLE if make().trains_encoder else HEAD_ONLY,
                "steps": plan.steps,
                "seeds": seeds,
                "seconds_per_step": step,
                "seconds": seeds * (plan.steps * step + besides),
            }
        )
    write_table(costs, table)


if __name__ == "__main__":
    run(main)
