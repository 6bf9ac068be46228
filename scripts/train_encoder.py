"""Train the encoder of one task: the bank's, or a small model's (paper section 5.2).

Reads the packs of training and validation views and the task's labels. Writes the encoder's
weights, its learning curve, one row that sets its validation loss beside the loss of a constant
predictor, and, where asked, the encoder as it was at some percentages of the training.
"""

from functools import partial

import torch
from taskrsa.data.pack import Pack, label_attributes, read_labels
from taskrsa.entry import run
from taskrsa.io.files import write_table
from taskrsa.networks.decoders import DenseDecoder, Rescaled, SmallDecoder, VectorDecoder
from taskrsa.networks.preprocessing import network_input
from taskrsa.networks.spec import SmallSpec, Spec, encoder_spec
from taskrsa.networks.weights import random_encoder, save_encoder
from taskrsa.recipes import TrainConfig
from taskrsa.tasks.task import Task
from taskrsa.training.loop import LabelledImages, scaled, train
from taskrsa.training.losses import channel_statistics, constant_loss
from torch import nn


def _images(task: Task, labels: str, split: str, path: str, n: int | None) -> LabelledImages:
    # Networks are trained on whole photographs; only the authors' extraction clips them.
    to_input = partial(network_input, kind=task.input, clip=False)
    with Pack(path) as pack:
        targets, valid = read_labels(labels, split, n)
        return LabelledImages(pack.rgb(n), targets, valid, to_input)


def _decoder(
    task: Task, spec: Spec, outputs: int, images: dict[str, LabelledImages], seed: int
) -> nn.Module:
    """Return the decoder of a task, whose weights are a function of the seed."""
    bottleneck_size = spec.bottleneck_size(images["val"].images.shape[1])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if task.dense:
            dense = SmallDecoder if isinstance(spec, SmallSpec) else DenseDecoder
            decoder = dense(
                spec.bottleneck_channels, bottleneck_size, outputs, images["val"].targets.shape[-1]
            )
        else:
            decoder = VectorDecoder(spec.bottleneck_channels, bottleneck_size, outputs)
    if task.loss in ("l1", "l2"):
        return Rescaled(decoder, *channel_statistics(*images["train"].labels()))
    return decoder


def main(
    model: str,
    task: dict,
    encoder: dict,
    training: dict,
    steps_factor: float,
    seed: int,
    train_images: str,
    val_images: str,
    labels: str,
    weights: str,
    curve: str,
    quality: str,
    n_train: int | None = None,
    stages: list[str] | None = None,
    stage_percents: list[int] | None = None,
    threads: int = 1,
) -> None:
    """`n_train` keeps the first training images only; `stages` names one file for each
    of `stage_percents`."""
    torch.set_num_threads(threads)
    of_task = Task(**task)
    images = {
        split: _images(of_task, labels, split, path, n)
        for split, path, n in (("train", train_images, n_train), ("val", val_images, None))
    }
    outputs = label_attributes(labels)["n_outputs"]
    spec = encoder_spec(encoder, of_task.input_channels)
    network = random_encoder(spec, seed)
    decoder = _decoder(of_task, spec, outputs, images, seed)
    recipe = scaled(TrainConfig(**training), steps_factor)
    stage_files: dict[int, list[str]] = {}
    for percent, path in zip(stage_percents or [], stages or [], strict=True):
        stage_files.setdefault(round(recipe.steps * percent / 100), []).append(path)

    def save_stages(step: int, trained: nn.Module) -> None:
        for path in stage_files.get(step, []):
            save_encoder(path, trained[0])

    whole = nn.Sequential(network, decoder)
    trained, learning, val_loss = train(
        whole, of_task.loss, *images.values(), recipe, seed, after_step=save_stages
    )
    every_label = (split.labels() for split in images.values())
    constant = constant_loss(of_task.loss, *every_label, classes=outputs)
    save_encoder(weights, trained[0])
    write_table(learning, curve)
    row = {
        "model": model,
        "task": of_task.id,
        "val_loss": val_loss,
        "constant_loss": constant,
        "error_removed": 1 - val_loss / constant,
    }
    write_table([row], quality)
    print(f"{model}: {row['error_removed']:.1%} of the constant predictor's error removed")


if __name__ == "__main__":
    run(main)
