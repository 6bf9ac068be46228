"""Fine-tune a network on a target, or train the target's small model.

Reads a prepared target and, for a network of the bank, its row and weights. Writes the network with
its new head, its learning curve and one row of scores; where asked, the encoder alone, for RDMs. A
training that was killed continues from the state beside the weights.
"""

import torch
from taskrsa.entry import run
from taskrsa.errors import ConfigError
from taskrsa.networks.loading import load_network
from taskrsa.networks.network import Network
from taskrsa.networks.spec import encoder_spec
from taskrsa.networks.target import target_network, untrained
from taskrsa.recipes import FinetuneConfig, HeadConfig
from taskrsa.targets.config import KINDS
from taskrsa.targets.sets import open_sets
from taskrsa.training.results import finetune_to_files


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
    tap: str = "compressed",
    n_train: int | None = None,
    output_encoder: str | None = None,
    threads: int = 1,
) -> None:
    """`row` is that of a network of the bank; without it an encoder of the spec `encoder` starts
    at random. `tap` is the layer of encoders of this project; `n_train` keeps the first
    training images only."""
    torch.set_num_threads(threads)
    if (row is None) == (encoder is None):
        raise ConfigError("finetune: give either row or the spec of an encoder, and not both")
    sets = open_sets(data)
    train, val = sets["train"].first(n_train), sets["val"]
    plan = FinetuneConfig(**recipe)
    if row is None:
        start = untrained(encoder_spec(encoder), seed)
    else:
        start = load_network(Network.from_json(row), weights)
    network = target_network(
        start, tap, train.kind, train.classes, HeadConfig(**head), plan.crop, seed
    )
    paths = {"weights": output_weights, "curve": curve, "scores": scores}
    if output_encoder is not None:
        paths["encoder"] = output_encoder
    progress = finetune_to_files(model, network, train, val, plan, seed, paths)
    if progress is not None:
        print(f"{model}, seed {seed}: {KINDS[train.kind].metric} {progress.curve[-1][2]:.4f}")


if __name__ == "__main__":
    run(main)
