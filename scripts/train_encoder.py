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
from taskrsa.networks.decoders import DenseDecoder, Rescaled, VectorDecoder
from taskrsa.networks.preprocessing import network_input
from taskrsa.networks.small import SmallDecoder
from taskrsa.networks.spec import SmallSpec, encoder_spec
from taskrsa.networks.weights import random_encoder, save_encoder
from taskrsa.tasks.task import Task
from taskrsa.training.loop import LabelledImages, TrainingSpec, encoder_and_decoder, train
from taskrsa.training.losses import channel_statistics, constant_loss


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
    """`n_train` limits the training images to the first so many; `stages` names one file for each
    of `stage_percents`."""
    torch.set_num_threads(threads)
    definition = Task(**task)
    # The bank is trained on whole photographs; only the authors' extraction clips them.
    to_input = partial(network_input, kind=definition.input, clip=False)
    splits = {}
    for split, path, n in (("train", train_images, n_train), ("val", val_images, None)):
        with Pack(path) as pack:
            targets, valid = read_labels(labels, split, n)
            splits[split] = LabelledImages(pack.rgb(n), targets, valid, to_input)

    spec = encoder_spec(encoder, definition.input_channels)
    network = random_encoder(spec, seed)
    code_size = spec.code_size(splits["val"].images.shape[1])
    outputs = label_attributes(labels)["n_outputs"]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if definition.dense:
            dense = SmallDecoder if isinstance(spec, SmallSpec) else DenseDecoder
            decoder = dense(spec.code_channels, code_size, outputs, splits["val"].targets.shape[-1])
        else:
            decoder = VectorDecoder(spec.code_channels, code_size, outputs)
    if definition.loss in ("l1", "l2"):
        decoder = Rescaled(decoder, *channel_statistics(*splits["train"].labels()))
    recipe = TrainingSpec(**training).scaled(steps_factor)
    stage_files: dict[int, list[str]] = {}
    for percent, path in zip(stage_percents or [], stages or [], strict=True):
        stage_files.setdefault(round(recipe.steps * percent / 100), []).append(path)

    def save_stages(step: int, trained: torch.nn.Module) -> None:
        for path in stage_files.get(step, []):
            save_encoder(path, trained[0])

    trained, learning, val_loss = train(
        encoder_and_decoder(network, decoder),
        definition.loss,
        splits["train"],
        splits["val"],
        recipe,
        seed,
        after_step=save_stages,
    )

    constant = constant_loss(
        definition.loss,
        *(images.labels() for images in splits.values()),
        classes=outputs,
    )
    save_encoder(weights, trained[0])
    columns = vars(learning)
    write_table(
        [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)],
        curve,
    )
    row = {
        "model": model,
        "task": definition.id,
        "val_loss": val_loss,
        "constant_loss": constant,
        "error_removed": 1 - val_loss / constant,
    }
    write_table([row], quality)
    print(f"{model}: {row['error_removed']:.1%} of the constant predictor's error removed")


if __name__ == "__main__":
    run(main)
