"""Fine-tune a network in one round of a race, from where the round before left it.

Trains on one part of the target's training images and scores on the other, by which the race
decides. The winner's last leg writes weights instead of a state, and its scores are on the target's
validation images, which the race has not seen.
"""

import torch
from taskrsa.entry import run
from taskrsa.errors import ConfigError
from taskrsa.networks.loading import load_network
from taskrsa.networks.network import Network
from taskrsa.networks.target import target_network
from taskrsa.recipes import FinetuneConfig, HeadConfig
from taskrsa.targets.sets import held_out, open_sets
from taskrsa.training.results import Leg, finetune_to_files


def main(
    model: str,
    data: str,
    row: dict,
    tap: str,
    head: dict,
    recipe: dict,
    seed: int,
    share: float,
    split_seed: int,
    leg: dict,
    curve: str,
    scores: str,
    weights: str | None = None,
    before: str | None = None,
    n_train: int | None = None,
    state: str | None = None,
    output_weights: str | None = None,
    threads: int = 1,
) -> None:
    """`share` of the `n_train` training images, drawn with `split_seed`, decide; `leg` has the
    steps `since` and `until`; `before` is the state of the round before."""
    torch.set_num_threads(threads)
    if (state is None) == (output_weights is None):
        raise ConfigError("race_leg: give either state or output_weights, and not both")
    sets = open_sets(data)
    train, deciding = held_out(sets["train"].first(n_train), share, split_seed)
    plan = FinetuneConfig(**recipe)
    network = target_network(
        load_network(Network.from_json(row), weights),
        *(tap, train.kind, train.classes, HeadConfig(**head), plan.crop, seed),
    )
    paths, reported = {"curve": curve, "scores": scores}, None
    if state is not None:
        paths["state"] = state
    else:
        paths["weights"], reported = output_weights, sets["val"]
    part = Leg(leg["since"], leg["until"], before, reported)
    progress = finetune_to_files(model, network, train, deciding, plan, seed, paths, part)
    if progress is not None:
        step, _, score = progress.curve[-1]
        print(f"{model}: {score:.4f} on the part that decides, after {step} steps")


if __name__ == "__main__":
    run(main)
