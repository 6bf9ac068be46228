"""Fine-tuning and a race on a graphics card: the parts of `gpu.py` that train."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import yaml
from accelerate.state import AcceleratorState
from torch.utils.flop_counter import FlopCounterMode

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

import finetune
import race_leg
import race_round
from card import PRECISIONS, Bench, Form, numerics
from rows import Row
from taskrsa.io.files import read_table
from taskrsa.networks.table import random_network
from taskrsa.networks.target import target_network, untrained
from taskrsa.recipes import FinetuneConfig, HeadConfig
from taskrsa.training.batches import Batches
from taskrsa.training.finetuning import _Run
from taskrsa.training.objectives import OBJECTIVES
from taskrsa.transferability.race import race_rounds

PAPER = Path(__file__).parents[2] / "config/paper.yaml"
TAP = "block4"
BUDGET = 2  # of the race, in full fine-tunings
SHARE = 0.25  # of the training images by which it decides


# --- fine-tuning ---


def finetuning(bench: Bench) -> Iterator[Row]:
    train_set = bench.sets()["train"]
    head, recipe = paper_s(bench.form)
    in_memory, from_files = (
        Batches(train_set, recipe, 0, cache_mb=room) for room in (float("inf"), 0.0)
    )
    for step in range(-(-len(train_set) // recipe.batch_size)):
        in_memory[step]  # which decodes the images
    sources = {
        "training thread, images in memory": (0, in_memory),
        "training thread, images from files": (0, from_files),
    }
    for threads in bench.form.ahead:
        sources[f"{threads} threads ahead, images from files"] = (threads, from_files)
    for precision, (kind, tf32) in PRECISIONS.items():
        AcceleratorState._reset_state(reset_partial_state=True)  # one precision a process else
        start = untrained(bench.form.encoder, 0)
        whole = target_network(
            start, TAP, train_set.kind, train_set.classes, head, recipe.crop, seed=0
        )
        run = _Run(whole, recipe.model_copy(update={"precision": kind}), 0, None)
        with numerics(tf32):
            with FlopCounterMode(display=False) as counter:
                run.step(*in_memory[0], OBJECTIVES[whole.kind].loss)
            operations = counter.get_total_flops() / recipe.batch_size
            for what, (threads, batches) in sources.items():
                bench.forget_peak()
                source = batches.since(run.progress.step, threads)
                per_step, waited = stepped(bench, run, source, warm_up=2 + threads)
                source.close()
                per_s = recipe.batch_size / per_step
                yield {
                    "what": what,
                    "precision": precision,
                    "batch": recipe.batch_size,
                    "step": "training",
                    "threads": max(1, threads),
                    **bench.speed(precision, per_s, operations),
                    **bench.peak(),
                    "waiting": waited,
                }
        del run, whole  # not beside the next one on the card


def paper_s(form: Form) -> tuple[HeadConfig, FinetuneConfig]:
    """Return the head and the recipe of the paper's configuration for Pascal VOC."""
    section = yaml.safe_load(PAPER.read_text())["targets"]["voc"]
    sizes = {"crop": form.crop, "batch_size": form.batch_size}
    head = HeadConfig(**section["head"] | form.recipe_head)
    return head, FinetuneConfig(**section["recipe"] | sizes)


def stepped(bench: Bench, run: _Run, source: Iterator, warm_up: int) -> tuple[float, float]:
    """Return seconds a step, and the share of them until the batch was there.

    A step of the training ends when the card has done it, since it reads the loss.
    """
    loss = OBJECTIVES[run.plain.kind].loss
    for _ in range(warm_up):
        run.step(*next(source), loss)
    start, waited, steps = time.perf_counter(), 0.0, 0
    while steps < 3 or time.perf_counter() - start < bench.form.least_training:
        asked = time.perf_counter()
        batch = next(source)
        waited += time.perf_counter() - asked
        run.step(*batch, loss)
        steps += 1
    took = time.perf_counter() - start
    return took / steps, waited / took


# --- a race ---


def race(bench: Bench) -> Iterator[Row | None]:
    """Run the jobs of a race, and those of fine-tuning its networks in full."""
    AcceleratorState._reset_state(reset_partial_state=True)
    names = [f"width {width}" for width in bench.form.widths]
    rounds = race_rounds(len(names), bench.form.race_steps, BUDGET)
    spent: dict[str, list[float]] = {"all": [0.0, 0.0], "race": [0.0, 0.0]}

    def timed(whose: str, job: Callable, **words: object) -> None:
        wall, cpu = time.perf_counter(), time.process_time()
        job(**words)
        spent[whose][0] += time.perf_counter() - wall
        spent[whose][1] += time.process_time() - cpu

    entered = names[: rounds[0].entrants]
    for number, one in enumerate(rounds):
        for name in entered:
            leg = {"since": one.since, "until": one.until}
            timed("race", race_leg.main, **leg_of(bench, name, number, leg, len(rounds)))
            yield None
        if number + 1 < len(rounds):
            runs = [str(bench.folder / f"{name} {number} scores.csv") for name in entered]
            table = bench.folder / f"round {number}.csv"
            race_round.main(runs, rounds[number + 1].entrants, table)
            decided = read_table(table)
            entered = decided[decided["survives"] == "yes"]["model"].tolist()
    for name in names:
        paths = {"output_weights": "tuned.safetensors", "curve": "curve.csv", "scores": "all.csv"}
        files = {key: str(bench.folder / f"{name} {end}") for key, end in paths.items()}
        timed("all", finetune.main, **training_of(bench, name), **files)
        yield None
    steps = {"all": len(names) * bench.form.race_steps, "race": sum(one.cost for one in rounds)}
    for whose, what in (("all", "all fine-tuned"), ("race", "race")):
        yield {
            "what": f"{len(names)} networks, {what}",
            "steps": steps[whose],
            "wall_s": spent[whose][0],
            "cpu_s": spent[whose][1],
            "of_all": spent[whose][0] / spent["all"][0],
        }


def training_of(bench: Bench, name: str) -> dict:
    """Return what jobs of a race and of fine-tuning have in common."""
    head, recipe = paper_s(bench.form)
    sizes = {"crop": bench.form.race_crop, "steps": bench.form.race_steps, "precision": "auto"}
    return {
        "model": name,
        "data": str(bench.data),
        "row": json.loads(random_network(name).to_json()),
        "weights": str(bench.folder / f"{name}.safetensors"),
        "tap": TAP,
        "head": head.model_dump(),
        "recipe": recipe.model_copy(update=sizes).model_dump(),
        "seed": 0,
    }


def leg_of(bench: Bench, name: str, number: int, leg: dict, n_rounds: int) -> dict:
    """Return the words of the job of a network in one round."""
    files = {end: str(bench.folder / f"{name} {number} {end}.csv") for end in ("curve", "scores")}
    if number:
        files["before"] = str(bench.folder / f"{name} {number - 1}.state")
    if number + 1 < n_rounds:
        files["state"] = str(bench.folder / f"{name} {number}.state")
    else:
        files["output_weights"] = str(bench.folder / f"{name} winner.safetensors")
    return training_of(bench, name) | {"share": SHARE, "split_seed": 0, "leg": leg} | files
