"""Measure on a few steps what it would take to fine-tune every network of the bank on a target.

`seconds` of a network are those of all its trainings: start of the program, loading, start of the
head, steps and score.

The numbers are timings of this machine and of `threads` threads; they differ from run to run.
"""

import time

import torch
from taskrsa.entry import run
from taskrsa.io.files import write_table
from taskrsa.networks.loading import load_network
from taskrsa.networks.network import Network
from taskrsa.networks.target import target_network
from taskrsa.recipes import FinetuneConfig, HeadConfig
from taskrsa.targets.sets import open_sets
from taskrsa.training.finetuning import seconds_of_training


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
    costs, start_up = [], time.process_time()
    for (name, row), file in zip(rows.items(), weights, strict=True):
        path = None if file == "-" else file
        began, network = time.perf_counter(), Network.from_json(row)
        start = load_network(network, path)
        tuned = target_network(
            start, tap, train.kind, train.classes, HeadConfig(**head), plan.crop, seed=0
        )
        loaded = start_up + time.perf_counter() - began
        step, once = seconds_of_training(tuned, train, val, plan)
        costs.append(
            {
                "model": name,
                "trained": tuned.trained,
                "steps": plan.steps,
                "seeds": seeds,
                "seconds_per_step": step,
                "seconds": seeds * (loaded + plan.steps * step + once),
            }
        )
    write_table(costs, table)


if __name__ == "__main__":
    run(main)
